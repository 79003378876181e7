// Found through the include path when --//backends:backend names this backend.
#ifndef TVL_BACKEND_CHOICE_H_
#define TVL_BACKEND_CHOICE_H_

#include "backends/neon_handwritten/neon_handwritten.h"

namespace tvl {
using SelectedKernel = NeonHandwritten;
}  // namespace tvl

#endif  // TVL_BACKEND_CHOICE_H_
