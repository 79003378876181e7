// Linux and macOS.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/atomic_file.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

// The file that `path` names in the end, whether it exists or not; a chain of links is followed.
fs::path Resolve(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as Linux
  fs::path resolved = path;
  std::error_code error;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(resolved, error); ++i) {
    const fs::path link = fs::read_symlink(resolved, error);
    if (error) break;
    resolved = link.is_absolute() ? link : resolved.parent_path() / link;
  }
  return resolved;
}

// A new file beside `target`, of a name that no other has. The kernel applies the umask.
int CreateBeside(const fs::path& target, std::string* name) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    *name = (target.parent_path() / absl::StrCat("tvl-", getpid(), "-", i, ".tmp")).string();
    const int fd = open(name->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& target) {
  const fs::path path = Resolve(target);
  struct stat info;
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(target, ": expected a regular file or none as the output, found ",
                     S_ISDIR(info.st_mode) ? "a directory" : "a special file"));
  }
  std::string temporary;
  const int fd = CreateBeside(path, &temporary);
  if (fd < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create a file beside ", target));
  AtomicFile file(fd, path.string(), std::move(temporary));
  // What replaces a file keeps its permissions.
  if (exists && fchmod(fd, info.st_mode & 07777) != 0)
    return file.Error(errno, "set permissions of");
  return file;
}

AtomicFile::AtomicFile(int fd, std::string target, std::string temporary)
    : fd_(fd), target_(std::move(target)), temporary_(std::move(temporary)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)) {
  other.temporary_.clear();
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status AtomicFile::Error(int error, const char* what) const {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", target_));
}

absl::Status AtomicFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return Error(errno, "write");
    }
    if (written == 0) return Error(ENOSPC, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Resize(uint64_t bytes) {
  if (ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return Error(errno, "resize");
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_) != 0) return Error(errno, "write");
  if (close(std::exchange(fd_, -1)) != 0) return Error(errno, "close");
  if (rename(temporary_.c_str(), target_.c_str()) != 0)
    return Error(errno, "rename a temporary file to");
  temporary_.clear();
  // The new name is durable once its folder is. Some file systems cannot sync a folder: no error.
  const std::string folder = fs::path(target_).parent_path().string();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  return absl::OkStatus();
}

}  // namespace tvl
