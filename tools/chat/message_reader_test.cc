#include "tools/chat/message_reader.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tools/chat/line_source.h"

namespace tvl {
namespace {

constexpr char kCtrlC[] = "\x03";

// The messages in these lines, "COMMAND ..." for commands and "^C" for interrupts.
std::vector<std::string> Messages(const std::vector<std::string>& lines) {
  size_t next = 0;
  std::string prompts;
  const LineSource source = [&](const std::string& prompt,
                                std::string* line) -> absl::StatusOr<LineEvent> {
    prompts += prompt;
    if (next == lines.size()) return LineEvent::kEnd;
    *line = lines[next++];
    return *line == kCtrlC ? LineEvent::kInterrupted : LineEvent::kLine;
  };
  std::vector<std::string> messages;
  for (;;) {
    const absl::StatusOr<Message> message = ReadMessage(source);
    EXPECT_TRUE(message.ok());
    if (message->event == LineEvent::kEnd) {
      if (message->unfinished) messages.push_back("UNFINISHED");
      return messages;
    }
    messages.push_back(message->event == LineEvent::kInterrupted ? "^C"
                       : message->is_command                     ? "COMMAND " + message->text
                                                                 : message->text);
  }
}

using Texts = std::vector<std::string>;

TEST(MessageReaderTest, ALineIsAMessage) {
  EXPECT_EQ(Messages({"Hello", "", " there "}), (Texts{"Hello", "", " there "}));
}

TEST(MessageReaderTest, ABackslashAtItsEndGoesOn) {
  EXPECT_EQ(Messages({"a\\", "b\\", "c", "d"}), (Texts{"a\nb\nc", "d"}));
  EXPECT_EQ(Messages({"a\\b", "c\\"}), (Texts{"a\\b", "UNFINISHED"}));
  EXPECT_EQ(Messages({"a\\", "/help"}), (Texts{"a\n/help"}));
}

TEST(MessageReaderTest, QuotesEncloseLines) {
  EXPECT_EQ(Messages({"\"\"\"", "a\\", "", "/b", "\"\"\"", "c"}), (Texts{"a\\\n\n/b", "c"}));
  EXPECT_EQ(Messages({"\"\"\"a", "b\"\"\"", "c"}), (Texts{"a\nb", "c"}));
  EXPECT_EQ(Messages({"\"\"\"a\"\"\"", "b"}), (Texts{"a", "b"}));
  EXPECT_EQ(Messages({"\"\"\"", "\"\"\"", "b"}), (Texts{"", "b"}));
  EXPECT_EQ(Messages({"\"\"\"a"}), (Texts{"UNFINISHED"}));
  EXPECT_EQ(Messages({"say \"\"\"", "b"}), (Texts{"say \"\"\"", "b"}));
}

TEST(MessageReaderTest, ASlashBeginsACommand) {
  EXPECT_EQ(Messages({"/save a b", " /save", "/"}),
            (Texts{"COMMAND /save a b", " /save", "COMMAND /"}));
  EXPECT_EQ(Messages({"/usr/bin/a\nb"}), (Texts{"/usr/bin/a\nb"}));
}

TEST(MessageReaderTest, AnInterruptDropsTheMessage) {
  EXPECT_EQ(Messages({"a\\", kCtrlC, "b", kCtrlC}), (Texts{"^C", "b", "^C"}));
  EXPECT_EQ(Messages({"\"\"\"", "a", kCtrlC, "b"}), (Texts{"^C", "b"}));
}

}  // namespace
}  // namespace tvl
