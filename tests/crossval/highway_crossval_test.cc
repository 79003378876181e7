#include "backends/highway_portable/highway_portable.h"
#include "tests/crossval/cross_validation.h"

TVL_CROSS_VALIDATE(HighwayPortable);
