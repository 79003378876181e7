#include "tools/chat/conversation.h"

#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tools/chat/chat_template.h"

namespace tvl {
namespace {

TEST(ConversationTest, IsReadAsItWasWritten) {
  const std::string path = testing::TempDir() + "/chat.json";
  Conversation conversation;
  conversation.system = "Be \"brief\".\n";
  conversation.exchanges = {{.user = "H\xC3\xABllo\n\x01", .answer = ""},
                            {.user = "\\ / \"", .answer = "\xF0\x9F\x98\x80"}};
  ASSERT_TRUE(SaveConversation(path, conversation, ChatTemplate::kChatml, 0x0123456789abcdef).ok());
  const absl::StatusOr<SavedConversation> saved = LoadConversation(path);
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->chat_template, ChatTemplate::kChatml);
  EXPECT_EQ(saved->model, 0x0123456789abcdef);
  EXPECT_EQ(saved->conversation.system, conversation.system);
  ASSERT_EQ(saved->conversation.exchanges.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(saved->conversation.exchanges[i].user, conversation.exchanges[i].user);
    EXPECT_EQ(saved->conversation.exchanges[i].answer, conversation.exchanges[i].answer);
  }
}

TEST(ConversationTest, WritesMessagesAsTheyAreEverywhere) {
  const std::string path = testing::TempDir() + "/two.json";
  Conversation conversation;
  conversation.exchanges = {{.user = "Hello\xFF", .answer = "Hi"}};
  ASSERT_TRUE(SaveConversation(path, conversation, ChatTemplate::kLlama3, 7).ok());
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), R"({
  "version": 1,
  "model": "0000000000000007",
  "template": "llama3",
  "messages": [
    {
      "role": "user",
      "content": "Hello)"
                        "\xEF\xBF\xBD"
                        R"("
    },
    {
      "role": "assistant",
      "content": "Hi"
    }
  ]
}
)");
}

TEST(ConversationTest, MessagesAreEnough) {
  const absl::StatusOr<SavedConversation> saved = ParseConversation(
      R"({"messages": [{"role": "user", "content": "a"}, {"content": "b", "role": "assistant"}]})");
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->conversation.exchanges.at(0).answer, "b");
  EXPECT_FALSE(saved->chat_template.has_value());
  EXPECT_FALSE(saved->model.has_value());
}

TEST(ConversationTest, RefusesOtherFiles) {
  const std::string user = R"({"role": "user", "content": "a"})";
  const std::string assistant = R"({"role": "assistant", "content": "b"})";
  const auto messages = [](const std::string& all) {
    return absl::StrCat("{\"messages\": [", all, "]}");
  };
  struct Case {
    std::string json;
    std::string_view error;
  };
  const Case cases[] = {
      {"", "expected a conversation that /save wrote, found another file"},
      {"hello", "expected a conversation that /save wrote, found another file"},
      {"\x89PNG\r\n", "expected a conversation that /save wrote, found another file"},
      {"{\"messages\": [", "expected JSON in UTF-8, found something else at byte "},
      {messages(user + "," + assistant) + "x", "expected JSON in UTF-8"},
      {messages(R"({"role": "user", "content": ")"
                "\xFF"
                "\"}"),
       "expected JSON in UTF-8"},
      {"[]", "expected an object, found an array"},
      {"7", "expected an object, found 7"},
      {"{}", "messages: expected some, found none"},
      {messages(""), "messages: expected some, found none"},
      {messages(user), "messages: expected an answer of the assistant at the end, found none"},
      {messages(R"({"role": "system", "content": "s"})"), "expected an answer of the assistant"},
      {messages(assistant), "messages[0]: role: expected system or user, found 'assistant'"},
      {messages(user + "," + user), "messages[1]: role: expected assistant, found 'user'"},
      {messages(user + "," + assistant + R"(,{"role": "system", "content": "s"})"),
       "messages[2]: role: expected user, found 'system'"},
      {messages(R"({"role": "tool\n", "content": "a"})"),
       "expected system or user, found 'tool\\n'"},
      // Nothing that a terminal obeys: C1, and what turns the direction of writing around.
      {messages("{\"role\": \"\xC2\x9B\xE2\x80\xAE\", \"content\": \"a\"}"),
       "found '\\xc2\\x9b\\xe2\\x80\\xae'"},
      {messages(R"({"role": "user"})"), "messages[0]: content: expected a text, found none"},
      {messages(R"({"content": "a"})"), "messages[0]: role: expected a role, found none"},
      {messages(R"({"role": "user", "content": 5})"),
       "messages[0]: content: expected a string, found 5"},
      {messages(R"({"role": "user", "content": ["a"]})"),
       "content: expected a string, found an array"},
      {messages(R"({"role": "user", "content": null})"), "content: expected a string, found null"},
      {messages(R"({"role": "user", "content": "a", "name": "x"})"),
       "messages[0]: unexpected field 'name'"},
      {messages("[]"), "messages[0]: expected an object, found an array"},
      {R"({"messages": 1.5})", "messages: expected an array, found a fraction"},
      {R"({"messages": {}})", "messages: expected an array, found an object"},
      {R"({"version": 2})", "version: expected 1, found 2"},
      {R"({"version": -1})", "version: expected a whole number, found -1"},
      {R"({"version": "1"})", "version: expected a whole number, found '1'"},
      {R"({"model": "xyz"})", "model: expected 16 hexadecimal digits, found 'xyz'"},
      {R"({"template": "alpaca"})", "template: expected one of llama2, "},
      {R"({"template": "alpaca"})", ", plain; found 'alpaca'"},
      {R"({"template": true})", "template: expected a string, found a boolean"},
      {R"({"tempo": 1})", "unexpected field 'tempo'"},
      {absl::StrCat("{\"messages\": [", user, ",", assistant, "], \"messages\": [", user, "]}"),
       "messages: expected one array, found another"},
      {std::string(100000, '['), "expected an object, found an array"},
      {std::string(100000, '{'), "expected JSON in UTF-8"},
      {messages(absl::StrCat("{\"role\": \"", std::string(100000, 'r'), "\", \"content\": \"\"}")),
       "rrrr...'"},
  };
  for (const Case& c : cases) {
    const absl::StatusOr<SavedConversation> saved = ParseConversation(c.json);
    ASSERT_FALSE(saved.ok()) << c.json.substr(0, 200);
    EXPECT_NE(std::string(saved.status().message()).find(c.error), std::string::npos)
        << saved.status();
    EXPECT_LT(saved.status().message().size(), 250u);
  }
}

// No beginning of a file is one.
TEST(ConversationTest, RefusesPartsOfAFile) {
  const std::string whole =
      R"({"version":1,"messages":[{"role":"user","content":"a\u20ac"},{"role":"assistant","content":"b"}]})";
  ASSERT_TRUE(ParseConversation(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ParseConversation(whole.substr(0, size)).ok()) << size;
}

TEST(ConversationTest, ErrorsNameTheFile) {
  const std::string path = testing::TempDir() + "/bad.json";
  EXPECT_TRUE(absl::IsNotFound(LoadConversation(testing::TempDir() + "/none.json").status()));
  std::ofstream(path) << "{}";
  EXPECT_EQ(LoadConversation(path).status().message(),
            path + ": messages: expected some, found none");
}

}  // namespace
}  // namespace tvl
