// The suite itself: the reference must pass what it judges others by: guards, ranges, chunks and
// rewinds.
#include "backends/scalar_reference/scalar_reference.h"
#include "tests/crossval/cross_validation.h"

TVL_CROSS_VALIDATE(ScalarReference);
