// Memory in pages of 2 MB, where the system gives them: an address takes fewer steps to translate.
#ifndef TVL_CORE_HUGE_PAGES_H_
#define TVL_CORE_HUGE_PAGES_H_

#include <cstddef>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "core/mapped_file.h"

namespace tvl {

// Anonymous zeroed memory that begins on a huge page and asks the system for such. It may get
// ordinary pages instead, all or in part: HugePageBytes tells.
class HugePages {
 public:
  static constexpr size_t kPageBytes = ZeroPages::kHugePageBytes;

  HugePages() = default;
  // ResourceExhausted, saying how many bytes, if the address space cannot be had.
  static absl::StatusOr<HugePages> Allocate(size_t bytes);

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  HugePages(internal::Mapping mapping, std::span<std::byte> bytes)
      : mapping_(std::move(mapping)), bytes_(bytes) {}
  internal::Mapping mapping_;
  std::span<std::byte> bytes_;
};

// Bytes of `range`, memory or part of a mapped file, that are mapped by huge pages now. Counted by
// whole mappings that it lies in. 0 where the system does not say.
size_t HugePageBytes(std::span<const std::byte> range);
// Whether the system says.
bool CountsHugePages();

}  // namespace tvl

#endif  // TVL_CORE_HUGE_PAGES_H_
