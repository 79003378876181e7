// Found through the include path when --//backends:backend names this backend.
#ifndef TVL_BACKEND_CHOICE_H_
#define TVL_BACKEND_CHOICE_H_

#include "backends/highway_portable/highway_portable.h"

namespace tvl {
using SelectedKernel = HighwayPortable;
}  // namespace tvl

#endif  // TVL_BACKEND_CHOICE_H_
