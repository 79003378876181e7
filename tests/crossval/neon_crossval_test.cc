#include "backends/neon_handwritten/neon_handwritten.h"
#include "tests/crossval/cross_validation.h"

TVL_CROSS_VALIDATE(NeonHandwritten);
