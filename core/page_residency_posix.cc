// What Linux and macOS share.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/page_residency.h"

namespace tvl {

std::span<const std::byte> WholePages(std::span<const std::byte> range) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(range.data()) % page;
  const size_t bytes = (before + range.size() + page - 1) / page * page;
  return {range.data() - before, range.empty() ? 0 : bytes};
}

absl::Status LockPages(std::span<const std::byte> range, const std::string& name) {
  const std::span<const std::byte> pages = WholePages(range);
  if (mlock(pages.data(), pages.size()) == 0) return absl::OkStatus();
  const int error = errno;
  rlimit limit = {};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  // EPERM: the limit is 0. EAGAIN: some pages could not be locked (macOS: the limit is exceeded).
  const bool limited = limit.rlim_cur != RLIM_INFINITY && pages.size() > limit.rlim_cur;
  if (limited && (error == ENOMEM || error == EPERM || error == EAGAIN)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        name, ": cannot lock it in memory: expected a limit of locked memory (RLIMIT_MEMLOCK) of ",
        pages.size(), " bytes at least, found ", static_cast<uint64_t>(limit.rlim_cur),
        "; raise it with 'ulimit -l ", (pages.size() + 1023) / 1024, "' or in limits.conf"));
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(name, ": cannot lock it in memory: ", std::strerror(error)));
}

}  // namespace tvl
