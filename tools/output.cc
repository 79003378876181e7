#include "tools/output.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tools/interrupt.h"

namespace tvl {
namespace {

std::atomic<bool> g_within_line = false;
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

absl::Status WriteAll(int fd, std::string_view text, const char* what) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE && fd == STDOUT_FILENO) return InterruptedBy(SIGPIPE);
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", what));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status Print(std::string_view text) {
  if (!text.empty()) g_within_line = text.back() != '\n';
  return WriteAll(STDOUT_FILENO, text, "standard output");
}

void EndPrintedLine() {
  if (g_within_line && write(STDOUT_FILENO, "\n", 1) < 0) return;
}

bool SameFile(const std::string& a, const std::string& b) {
  struct stat of_a, of_b;
  return stat(a.c_str(), &of_a) == 0 && stat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
         of_a.st_ino == of_b.st_ino;
}

void PrintNote(std::string_view text) {
  WriteAll(STDERR_FILENO, text, "standard error").IgnoreError();
}

}  // namespace tvl
