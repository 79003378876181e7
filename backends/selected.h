// tvl::SelectedKernel: the kernel of the backend that the build's configuration chose.
#ifndef TVL_BACKENDS_SELECTED_H_
#define TVL_BACKENDS_SELECTED_H_

#include "backend_choice.h"  // supplied by the target of --//backends:backend

#endif  // TVL_BACKENDS_SELECTED_H_
