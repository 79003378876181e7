// For tests of what the system does with pages.
#ifndef TVL_CORE_RESIDENCY_TESTING_H_
#define TVL_CORE_RESIDENCY_TESTING_H_

#include <cstddef>

#include "core/huge_pages.h"
#include "core/page_residency.h"

namespace tvl::testing {

// Whether madvise does anything here: QEMU's user mode (7.2) answers that all went well and does
// nothing. A real system refuses to populate what is not mapped.
inline bool SystemPopulates() {
  const std::byte* unmapped = nullptr;
  {
    const auto pages = HugePages::Allocate(HugePages::kPageBytes);
    if (!pages.ok()) return false;
    unmapped = pages->bytes().data();
  }
  return !PopulatePages({unmapped, 1}).ok();
}

}  // namespace tvl::testing

#endif  // TVL_CORE_RESIDENCY_TESTING_H_
