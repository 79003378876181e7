#include "tools/chat/message_reader.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/chat/line_source.h"

namespace tvl {
namespace {

constexpr char kPrompt[] = "> ";
constexpr char kPromptForMore[] = ". ";
constexpr std::string_view kQuotes = "\"\"\"";

// Takes what ends a message, or does not: """ within a block, else no backslash.
bool TakeEnd(bool block, std::string* line) {
  if (block) {
    if (!line->ends_with(kQuotes)) return false;
    line->resize(line->size() - kQuotes.size());
    return true;
  }
  if (!line->ends_with('\\')) return true;
  line->pop_back();
  return false;
}

}  // namespace

absl::StatusOr<Message> ReadMessage(const LineSource& source) {
  Message message;
  std::string line;
  absl::StatusOr<LineEvent> event = source(kPrompt, &line);
  if (!event.ok()) return event.status();
  message.event = *event;
  if (*event != LineEvent::kLine) return message;
  if (line.starts_with('/') && line.find('\n') == line.npos) {
    message.is_command = true;
    message.text = line;
    return message;
  }
  const bool block = line.starts_with(kQuotes);
  if (block) line.erase(0, kQuotes.size());
  bool done = TakeEnd(block, &line);
  message.text = line;
  while (!done) {
    event = source(kPromptForMore, &line);
    if (!event.ok()) return event.status();
    if (*event == LineEvent::kInterrupted) return Message{.event = LineEvent::kInterrupted};
    if (*event == LineEvent::kEnd) return Message{.event = LineEvent::kEnd, .unfinished = true};
    done = TakeEnd(block, &line);
    // In a block the lines are between the quotes: those of the quotes themselves may be empty.
    const bool nothing_before = block && message.text.empty();
    if (!nothing_before && !(block && done && line.empty())) message.text += '\n';
    message.text += line;
  }
  return message;
}

absl::StatusOr<LineEvent> StandardInputLines::Read(std::string* line) {
  constexpr size_t kMaxBytes = 64'000'000;
  line->clear();
  for (;;) {
    const size_t end = rest_.find('\n');
    line->append(rest_.substr(0, end));
    if (line->size() > kMaxBytes)
      return absl::OutOfRangeError("standard input: a line of more than 64 MB");
    if (end != rest_.npos) {
      rest_.remove_prefix(end + 1);
      if (line->ends_with('\r')) line->pop_back();
      return LineEvent::kLine;
    }
    rest_ = {};
    const ssize_t got = read(STDIN_FILENO, buffer_.data(), buffer_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot read standard input");
    if (got == 0) return line->empty() ? LineEvent::kEnd : LineEvent::kLine;
    rest_ = {buffer_.data(), static_cast<size_t>(got)};
  }
}

}  // namespace tvl
