// Found through the include path when --//backends:backend names this backend.
#ifndef TVL_BACKEND_CHOICE_H_
#define TVL_BACKEND_CHOICE_H_

#include "backends/scalar_reference/scalar_reference.h"

namespace tvl {
using SelectedKernel = ScalarReference;
}  // namespace tvl

#endif  // TVL_BACKEND_CHOICE_H_
