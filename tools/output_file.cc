#include "tools/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "models/atomic_file.h"
#include "models/file_kind.h"
#include "tools/output.h"

namespace tvl {
namespace {

const char* KindText(FileKind kind) {
  switch (kind) {
    case FileKind::kSession:
      return "a session of tvl";
    case FileKind::kTrace:
      return "a trace of tvl";
    case FileKind::kReport:
      return "a report of tvl";
    case FileKind::kTvl:
    default:
      return "a .tvl file";
  }
}

// Its first bytes; at most those that tell its kind.
absl::StatusOr<std::vector<std::byte>> ReadHead(const std::string& path, uint64_t size) {
  std::vector<std::byte> head(std::min<uint64_t>(size, kFileKindBytes));
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const ssize_t got = pread(fd, head.data(), head.size(), 0);
  const int error = errno;
  close(fd);
  if (got < 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
  head.resize(static_cast<size_t>(got));
  return head;
}

}  // namespace

absl::Status MayReplace(const std::string& path, FileKind kind, bool force) {
  struct stat info;
  if (force || stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
    return absl::OkStatus();
  // What cannot be read is somebody's, too.
  const auto head = ReadHead(path, static_cast<uint64_t>(info.st_size));
  const FileDescription found =
      head.ok() ? DescribeFile(*head)
                : FileDescription{FileKind::kUnknown, "a file that cannot be read", ""};
  if (found.kind == kind) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": expected ", KindText(kind), " to replace, or no file, found ",
                   found.what, "; name another file, or add --force to replace this one"));
}

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path, FileKind kind, bool force) {
  struct stat info, standard;
  const bool exists = path != "-" && stat(path.c_str(), &info) == 0;
  // /dev/stdout may lead to a file, which must not be replaced while it is written to.
  const bool is_standard = exists && S_ISREG(info.st_mode) &&
                           fstat(STDOUT_FILENO, &standard) == 0 && info.st_dev == standard.st_dev &&
                           info.st_ino == standard.st_ino;
  if (path == "-" || is_standard) return OutputFile("-", -1, std::nullopt);
  if (exists && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
    // A pipe waits for its reader here.
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
    return OutputFile(path, fd, std::nullopt);
  }
  if (absl::Status s = MayReplace(path, kind, force); !s.ok()) return s;
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  return OutputFile(path, -1, *std::move(file));
}

OutputFile::OutputFile(std::string path, int fd, std::optional<AtomicFile> file)
    : path_(std::move(path)), fd_(fd) {
  if (file) file_.emplace(*std::move(file));
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {
  if (other.file_) file_.emplace(*std::move(other.file_));
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status OutputFile::Append(std::string_view text) {
  if (is_standard_output()) return Print(text);
  if (!file_) return WriteAll(fd_, text, path_.c_str());
  absl::Status status = file_->WriteAt(size_, std::as_bytes(std::span(text.data(), text.size())));
  size_ += text.size();
  return status;
}

absl::Status OutputFile::Commit() { return file_ ? file_->Commit() : absl::OkStatus(); }

}  // namespace tvl
