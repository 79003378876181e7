#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/page_residency.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14; older C libraries do not name it
#endif

namespace tvl {

void PreferLargeReads(std::span<const std::byte> range) {
  const std::span<const std::byte> pages = WholePages(range);
#ifdef MADV_HUGEPAGE
  madvise(const_cast<std::byte*>(pages.data()), pages.size(), MADV_HUGEPAGE);
#endif
}

absl::Status PopulatePages(std::span<const std::byte> range) {
  const std::span<const std::byte> pages = WholePages(range);
  int result = 0;
  do {
    result = madvise(const_cast<std::byte*>(pages.data()), pages.size(), MADV_POPULATE_READ);
  } while (result != 0 && (errno == EINTR || errno == EAGAIN));
  if (result == 0) return absl::OkStatus();
  if (errno != EINVAL) {
    return absl::DataLossError(
        absl::StrCat("cannot read the mapped pages: ", std::strerror(errno)));
  }
  // A system older than that request: touch them.
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t at = 0; at < pages.size(); at += page) {
    static_cast<void>(*static_cast<const volatile std::byte*>(pages.data() + at));
  }
  return absl::OkStatus();
}

absl::Status DropCachedPages(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  // Pages that are not yet on the disk cannot be dropped.
  fdatasync(fd);
  const int error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  if (error == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot drop its pages from memory"));
}

}  // namespace tvl
