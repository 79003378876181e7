#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
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

bool GatherIntoHugePages(std::span<const std::byte> range) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE of Linux 6.1; older C libraries do not name it
  constexpr size_t kHugePage = size_t{2} << 20;
  // The whole huge pages within the range.
  const size_t before = -reinterpret_cast<uintptr_t>(range.data()) % kHugePage;
  if (range.size() < before + kHugePage) return false;
  const size_t bytes = (range.size() - before) / kHugePage * kHugePage;
  return madvise(const_cast<std::byte*>(range.data()) + before, bytes, kCollapse) == 0;
}

bool IsOnNetwork(const std::string& path) {
  struct statfs info;
  if (statfs(path.c_str(), &info) != 0) return false;
  // NFS, SMB in three versions, FUSE (sshfs, say), 9P, Ceph, AFS (linux/magic.h).
  constexpr uint32_t kTypes[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42,
                                 0x65735546, 0x01021997, 0x00c36400, 0x5346414f};
  return std::ranges::find(kTypes, static_cast<uint32_t>(info.f_type)) != std::end(kTypes);
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
