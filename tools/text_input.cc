#include "tools/text_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tvl {

absl::StatusOr<std::string> ReadStandardInput() {
  constexpr size_t kMaxBytes = size_t{64} << 20;
  std::string text;
  std::vector<char> buffer(size_t{1} << 16);
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot read standard input");
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > kMaxBytes)
      return absl::OutOfRangeError("standard input: a text of more than 64 MB");
  }
}

}  // namespace tvl
