#include "tools/cache_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tools/machine.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

// From the environment; empty if it is not set.
std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Empty if it is not a path that means the same everywhere.
std::string AbsoluteFrom(const char* variable) {
  const std::string value = Variable(variable);
  return value.empty() || value[0] != '/' ? "" : value;
}

}  // namespace

absl::StatusOr<std::string> CacheFolder(const std::string& what) {
  if (std::string folder = Variable("TVL_CACHE_DIR"); !folder.empty()) return folder;
  if (const std::string caches = AbsoluteFrom("XDG_CACHE_HOME"); !caches.empty())
    return caches + "/tvl";
  if (const std::string home = AbsoluteFrom("HOME"); !home.empty())
    return CacheFolderOf(home) + "/tvl";
  return absl::FailedPreconditionError(
      absl::StrCat("none of TVL_CACHE_DIR, XDG_CACHE_HOME and HOME names a folder to keep ", what,
                   " in; set TVL_CACHE_DIR to one"));
}

absl::Status MakeCacheFolder(const std::string& folder) {
  fs::path made;
  int error = 0;
  for (const fs::path& part : fs::path(folder)) {
    made /= part;
    error = mkdir(made.c_str(), 0700) == 0 ? 0 : errno;
    // What is there may also be on a file system that is read-only.
    std::error_code ignored;
    if (error != 0 && fs::is_directory(made, ignored)) error = 0;
    if (error == EEXIST) error = ENOTDIR;
    if (error != 0) break;
  }
  if (error == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(error, absl::StrCat("cannot make the folder ", folder));
}

}  // namespace tvl
