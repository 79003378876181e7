#include <sys/mman.h>
#include <unistd.h>

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
  const uintptr_t begin = reinterpret_cast<uintptr_t>(range.data()), end = begin + range.size();
  const std::unique_ptr<FILE, int (*)(FILE*)> smaps(std::fopen("/proc/self/smaps", "re"),
                                                    std::fclose);
  if (smaps == nullptr) return 0;
  // A mapping's line, "7f35e1400000-7f35e5000000 rw-p ...", then its figures, "AnonHugePages:
  // 61440 kB" among them. Advice may have split the range into several mappings.
  constexpr const char* kFigures[] = {"AnonHugePages: %zu kB", "ShmemPmdMapped: %zu kB",
                                      "FilePmdMapped: %zu kB"};
  char line[512];
  bool inside = false;
  size_t bytes = 0;
  while (std::fgets(line, sizeof(line), smaps.get()) != nullptr) {
    uintptr_t from = 0, to = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      inside = from < end && begin < to;
      continue;
    }
    for (const char* figure : kFigures) {
      size_t kilobytes = 0;
      if (inside && std::sscanf(line, figure, &kilobytes) == 1) bytes += kilobytes << 10;
    }
  }
  // The last page may reach beyond.
  return std::min(bytes, range.size());
}

bool CountsHugePages() { return access("/proc/self/smaps", R_OK) == 0; }

}  // namespace tvl
