// Texts that commands are given.
#ifndef TVL_TOOLS_TEXT_INPUT_H_
#define TVL_TOOLS_TEXT_INPUT_H_

#include <string>

#include "absl/status/statusor.h"

namespace tvl {

// All that `path` holds: of a file, of a pipe as <(...) makes one, or of standard input if it is
// "-". What has no size of its own may have no end either: OutOfRange beyond 64 MB of it. Errors
// name the path.
absl::StatusOr<std::string> ReadText(const std::string& path);

// The same for a prompt: less one newline at its end, which `echo` and editors add.
absl::StatusOr<std::string> ReadPrompt(const std::string& path);

}  // namespace tvl

#endif  // TVL_TOOLS_TEXT_INPUT_H_
