#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "models/unnamed_file.h"

namespace tvl::internal {
namespace {

// linkat wants a path or the right to read any file.
std::string PathOf(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

}  // namespace

int CreateUnnamedFile(const char* folder) {
  const int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  if (access(PathOf(fd).c_str(), F_OK) == 0) return fd;
  close(fd);  // without /proc it could never get a name
  return -1;
}

int NameFile(int fd, const char* path) {
  const std::string unnamed = PathOf(fd);
  return linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

}  // namespace tvl::internal
