// Linux and macOS.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/signals.h"
#include "models/atomic_file.h"
#include "models/file_space.h"
#include "models/unnamed_file.h"

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

std::string Folder(const fs::path& target) {
  const std::string folder = target.parent_path().string();
  return folder.empty() ? "." : folder;
}

// Names of temporary files, read by signal handlers.
std::atomic<const char*> g_unfinished[16];
static_assert(std::atomic<const char*>::is_always_lock_free);

void ReplaceUnfinished(const char* from, const char* to) {
  for (std::atomic<const char*>& name : g_unfinished) {
    const char* expected = from;
    if (name.compare_exchange_strong(expected, to)) return;
  }
}

// Calls `create` (an errno on failure, else 0) with names beside `target` until there is one that
// no file has. That name is listed as unfinished; on failure it is null.
template <typename Create>
int CreateBeside(const fs::path& target, Create&& create,
                 std::unique_ptr<const std::string>* name) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    *name = std::make_unique<const std::string>(
        (target.parent_path() / absl::StrCat("tvl-", getpid(), "-", i, ".tmp")).string());
    const SignalsBlocked between_making_and_listing(AllSignals());
    const int error = create((*name)->c_str());
    if (error == 0) {
      ReplaceUnfinished(nullptr, (*name)->c_str());
      return 0;
    }
    name->reset();
    if (error != EEXIST) return error;
  }
  return EEXIST;
}

}  // namespace

void RemoveUnfinishedFiles() {
  for (const std::atomic<const char*>& name : g_unfinished) {
    if (const char* path = name.load(); path != nullptr) unlink(path);
  }
}

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& target) {
  const fs::path path = Resolve(target);
  struct stat info;
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(target, ": expected a regular file or none as the output, found ",
                     S_ISDIR(info.st_mode) ? "a directory" : "a special file"));
  }
  std::unique_ptr<const std::string> temporary;
  int fd = internal::CreateUnnamedFile(Folder(path).c_str());
  if (fd < 0) {
    // The kernel applies the umask.
    const auto create = [&](const char* name) {
      fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      return fd < 0 ? errno : 0;
    };
    const int error = CreateBeside(path, create, &temporary);
    if (error != 0) {
      return absl::ErrnoToStatus(error, absl::StrCat("cannot create a file beside ", target));
    }
  }
  AtomicFile file(fd, path.string(), std::move(temporary));
  // What replaces a file keeps its permissions.
  if (exists && fchmod(fd, info.st_mode & 07777) != 0)
    return file.Error(errno, "set permissions of");
  return file;
}

AtomicFile::AtomicFile(int fd, std::string target, std::unique_ptr<const std::string> temporary)
    : fd_(fd), target_(std::move(target)), temporary_(std::move(temporary)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (temporary_ == nullptr) return;
  unlink(temporary_->c_str());
  ReplaceUnfinished(temporary_->c_str(), nullptr);
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

absl::Status AtomicFile::Reserve(uint64_t bytes) {
  const int error = internal::ReserveSpace(fd_, bytes);
  return error == 0 ? absl::OkStatus() : Error(error, "write");
}

void AtomicFile::StartWriting(uint64_t offset, uint64_t bytes) {
  internal::StartWriting(fd_, offset, bytes);
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_) != 0) return Error(errno, "write");
  if (absl::Status s = Rename(); !s.ok()) return s;
  if (close(std::exchange(fd_, -1)) != 0) return Error(errno, "close");
  // The new name is durable once its folder is. Some file systems cannot sync a folder: no error.
  const int folder = open(Folder(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Rename() {
  if (temporary_ == nullptr) {
    int error = internal::NameFile(fd_, target_.c_str());
    if (error == 0) return absl::OkStatus();
    // What is there already can be replaced by renaming only.
    if (error == EEXIST) {
      const auto create = [&](const char* name) { return internal::NameFile(fd_, name); };
      error = CreateBeside(target_, create, &temporary_);
    }
    if (error != 0) return Error(error, "give a temporary file the name");
  }
  if (rename(temporary_->c_str(), target_.c_str()) != 0)
    return Error(errno, "rename a temporary file to");
  ReplaceUnfinished(temporary_->c_str(), nullptr);
  temporary_.reset();
  return absl::OkStatus();
}

}  // namespace tvl
