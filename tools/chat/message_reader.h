// What a user writes in a chat: messages of one line or more, and commands.
#ifndef TVL_TOOLS_CHAT_MESSAGE_READER_H_
#define TVL_TOOLS_CHAT_MESSAGE_READER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/chat/line_source.h"

namespace tvl {

struct Message {
  LineEvent event = LineEvent::kEnd;
  // Of kLine: the message, or a command as it was typed ("/save chat.json").
  std::string text = {};
  bool is_command = false;
  bool unfinished = false;  // of kEnd: it came within a message, which is dropped
};

// Puts lines together: one that ends in a backslash goes on in the next, and """ begins a message
// of any lines that ends with the next """ at the end of a line. A line that begins with "/" is a
// command, unless it has newlines, which come from pasting. Within a message an interrupt drops it,
// and so does the end of the input.
absl::StatusOr<Message> ReadMessage(const LineSource& source);

// The lines of standard input, as bytes. They end in "\n" or "\r\n".
class StandardInputLines {
 public:
  // OutOfRange for a line of more than 64 MB; the system's error.
  absl::StatusOr<LineEvent> Read(std::string* line);

 private:
  std::vector<char> buffer_ = std::vector<char>(size_t{1} << 16);
  std::string_view rest_;  // of buffer_: what no line has had yet
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_MESSAGE_READER_H_
