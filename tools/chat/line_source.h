// Where lines come from.
#ifndef TVL_TOOLS_CHAT_LINE_SOURCE_H_
#define TVL_TOOLS_CHAT_LINE_SOURCE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tvl {

enum class LineEvent {
  kLine,
  kEnd,          // there are no more lines; Ctrl-D at a terminal
  kInterrupted,  // Ctrl-C at a terminal
};

// Reads the next line, without its newline, into the string; shows the prompt where people see it.
using LineSource =
    std::function<absl::StatusOr<LineEvent>(const std::string& prompt, std::string*)>;

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_LINE_SOURCE_H_
