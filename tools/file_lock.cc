// Linux and macOS.
#include "tools/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
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

absl::StatusOr<FileLock> FileLock::TryItself(const std::string& path) {
  // Not waiting for the other end of a pipe.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  constexpr int kTries = 100;  // each of which another process can only spoil by being done
  for (int i = 0; i < kTries; ++i) {
    int fd = open(path.c_str(), kFlags | O_CREAT | O_EXCL, 0666);
    const bool made = fd >= 0;
    // Through a link that leads nowhere it is made here.
    if (!made && errno == EEXIST) fd = open(path.c_str(), kFlags | O_CREAT, 0666);
    if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
    FileLock lock(fd, path);
    std::error_code error;
    if (const auto real = std::filesystem::canonical(path, error); !error) lock.path_ = real;
    if (absl::Status s = lock.Lock(LOCK_EX | LOCK_NB); !s.ok()) return s;
    lock.made_ = made;
    if (lock.IsInPlace()) return lock;
  }
  return absl::UnavailableError(absl::StrCat(path, ": other processes go on replacing it"));
}

FileLock::FileLock(FileLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), made_(other.made_) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this == &other) return *this;
  Release();
  fd_ = std::exchange(other.fd_, -1);
  path_ = std::move(other.path_);
  made_ = other.made_;
  return *this;
}

FileLock::~FileLock() { Release(); }

void FileLock::Release() {
  if (fd_ < 0) return;
  if (made_ && IsEmpty() && IsInPlace()) Remove();
  close(fd_);
}

bool FileLock::IsEmpty() const {
  struct stat held;
  return fstat(fd_, &held) == 0 && held.st_size == 0;
}

absl::Status FileLock::Write(std::string_view text) const {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  return WriteAll(fd_, text, path_.c_str());
}

void FileLock::Remove() const { unlink(path_.c_str()); }

}  // namespace tvl
