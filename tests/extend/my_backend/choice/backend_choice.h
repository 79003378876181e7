// What //backends:selected of tvl includes when --@tvl//backends:backend names this backend.
#ifndef TVL_BACKEND_CHOICE_H_
#define TVL_BACKEND_CHOICE_H_

#include "my_backend/column_wise.h"

namespace tvl {
using SelectedKernel = ::ColumnWise;
}  // namespace tvl

#endif  // TVL_BACKEND_CHOICE_H_
