#include "my_backend/column_wise.h"

#include "tests/crossval/cross_validation.h"

TVL_CROSS_VALIDATE(ColumnWise);
