#include "tools/text_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace tvl {
namespace {

// Of a text whose end is not known.
constexpr size_t kMaxMegabytes = 64;

// REQUIRES: `fd` is open for reading.
absl::StatusOr<std::string> ReadToEnd(int fd, const std::string& name) {
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot stat ", name));
  if (S_ISDIR(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(name, ": expected a text, found a directory"));
  const bool endless = !S_ISREG(info.st_mode);
  std::string text;
  if (!endless) text.reserve(static_cast<size_t>(info.st_size));
  std::vector<char> buffer(size_t{1} << 16);
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", name));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (endless && text.size() > kMaxMegabytes * 1'000'000) {
      return absl::OutOfRangeError(absl::StrCat(name, ": expected a text of at most ",
                                                kMaxMegabytes,
                                                " MB, found more; name a file for a longer one"));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> ReadText(const std::string& path) {
  if (path == "-") return ReadToEnd(STDIN_FILENO, "standard input");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  absl::StatusOr<std::string> text = ReadToEnd(fd, path);
  close(fd);
  return text;
}

absl::StatusOr<std::string> ReadPrompt(const std::string& path) {
  absl::StatusOr<std::string> text = ReadText(path);
  if (text.ok() && !text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

}  // namespace tvl
