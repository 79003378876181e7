// Apple Silicon has no huge pages for programs: this is memory like any other.
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/huge_pages.h"
#include "core/mapped_file.h"

namespace tvl {

absl::StatusOr<HugePages> HugePages::Allocate(size_t bytes) {
  if (bytes == 0) return HugePages();
  const size_t reserved = bytes + kPageBytes;
  void* address = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (address == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot allocate ", reserved, " bytes: ", std::strerror(errno)));
  }
  internal::Mapping mapping(address, reserved);
  std::byte* begin = mapping.data() + -reinterpret_cast<uintptr_t>(address) % kPageBytes;
  return HugePages(std::move(mapping), {begin, bytes});
}

size_t HugePageBytes(std::span<const std::byte>) { return 0; }

bool CountsHugePages() { return false; }

}  // namespace tvl
