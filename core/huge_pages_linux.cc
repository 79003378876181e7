#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
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
  // Whole huge pages, and room to begin on one.
  const size_t whole = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const size_t reserved = whole + kPageBytes;
  void* address =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot allocate ", reserved, " bytes: ", std::strerror(errno)));
  }
  internal::Mapping mapping(address, reserved);
  const size_t before = -reinterpret_cast<uintptr_t>(address) % kPageBytes;
  std::byte* begin = mapping.data() + before;
  madvise(begin, whole, MADV_HUGEPAGE);
  return HugePages(std::move(mapping), {begin, bytes});
}

size_t HugePageBytes(std::span<const std::byte> range) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(range.data());
  const std::unique_ptr<FILE, int (*)(FILE*)> smaps(std::fopen("/proc/self/smaps", "re"),
                                                    std::fclose);
  if (smaps == nullptr) return 0;
  // A mapping's line, "7f35e1400000-7f35e5000000 rw-p ...", then its figures, "AnonHugePages:
  // 61440 kB" among them. The memory of HugePages lies within one mapping.
  char line[512];
  bool inside = false;
  while (std::fgets(line, sizeof(line), smaps.get()) != nullptr) {
    uintptr_t from = 0, to = 0;
    size_t kilobytes = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      inside = from <= begin && begin < to;
    } else if (inside && std::sscanf(line, "AnonHugePages: %zu kB", &kilobytes) == 1) {
      // The last page may reach beyond.
      return std::min(kilobytes << 10, range.size());
    }
  }
  return 0;
}

}  // namespace tvl
