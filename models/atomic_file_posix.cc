// Linux and macOS.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/atomic_file.h"

namespace tvl {
namespace {

// The permissions that a new file would get. umask can only be read by setting it.
mode_t NewFileMode() {
  const mode_t mask = umask(022);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& target) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(target, error);
  const std::string path = error ? target : resolved.string();
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(target, ": expected a regular file or none as the output, found ",
                     S_ISDIR(info.st_mode) ? "a directory" : "a special file"));
  }
  std::string temporary = absl::StrCat(path, ".tmp.XXXXXX");
  const int fd = mkstemp(temporary.data());
  if (fd < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create a file beside ", target));
  fchmod(fd, NewFileMode());
  return AtomicFile(fd, path, std::move(temporary));
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
  return absl::OkStatus();
}

}  // namespace tvl
