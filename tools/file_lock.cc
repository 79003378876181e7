// Linux and macOS.
#include "tools/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tools/output.h"

namespace tvl {

absl::StatusOr<FileLock> FileLock::Open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  return FileLock(fd, path);
}

absl::Status FileLock::Lock(int operation) const {
  int result = 0;
  do {
    result = flock(fd_, operation);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return absl::OkStatus();
  if (errno == EWOULDBLOCK)
    return absl::UnavailableError(absl::StrCat(path_, ": another process holds it"));
  return absl::OkStatus();  // no locks here
}

// Whether it is still what has this name, now that it is held.
bool FileLock::IsInPlace() const {
  struct stat held, named;
  return fstat(fd_, &held) == 0 && stat(path_.c_str(), &named) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

absl::StatusOr<FileLock> FileLock::Wait(const std::string& path,
                                        const std::function<void()>& waiting) {
  bool waited = false;
  for (;;) {
    absl::StatusOr<FileLock> lock = Open(path, O_CREAT);
    if (!lock.ok()) return lock;
    if (!lock->Lock(LOCK_EX | LOCK_NB).ok()) {
      if (!std::exchange(waited, true)) waiting();
      if (absl::Status s = lock->Lock(LOCK_EX); !s.ok()) return s;
    }
    if (lock->IsInPlace()) return lock;
  }
}

absl::StatusOr<FileLock> FileLock::Try(const std::string& path) {
  absl::StatusOr<FileLock> lock = Open(path, 0);
  if (!lock.ok()) return lock;
  if (absl::Status s = lock->Lock(LOCK_EX | LOCK_NB); !s.ok()) return s;
  if (!lock->IsInPlace()) return absl::NotFoundError(absl::StrCat(path, ": no longer there"));
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

absl::Status FileLock::Write(std::string_view text) const {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  return WriteAll(fd_, text, path_.c_str());
}

void FileLock::Remove() const { unlink(path_.c_str()); }

}  // namespace tvl
