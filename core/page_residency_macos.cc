#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/page_residency.h"

namespace tvl {

void PreferLargeReads(std::span<const std::byte>) {}

absl::Status PopulatePages(std::span<const std::byte> range) {
  const std::span<const std::byte> pages = WholePages(range);
  madvise(const_cast<std::byte*>(pages.data()), pages.size(), MADV_WILLNEED);
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t at = 0; at < pages.size(); at += page) {
    static_cast<void>(*static_cast<const volatile std::byte*>(pages.data() + at));
  }
  return absl::OkStatus();
}

bool GatherIntoHugePages(std::span<const std::byte>) { return false; }

bool IsOnNetwork(const std::string& path) {
  struct statfs info;
  return statfs(path.c_str(), &info) == 0 && (info.f_flags & MNT_LOCAL) == 0;
}

absl::Status DropCachedPages(const std::string& path) {
  return absl::UnimplementedError(
      absl::StrCat(path, ": this system lets no program drop a file's pages from memory"));
}

}  // namespace tvl
