#include "tools/output.h"

#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace tvl {

absl::Status WriteAll(int fd, std::string_view text, const char* what) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", what));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status Print(std::string_view text) {
  return WriteAll(STDOUT_FILENO, text, "standard output");
}

void PrintNote(std::string_view text) {
  WriteAll(STDERR_FILENO, text, "standard error").IgnoreError();
}

}  // namespace tvl
