// With the model that is linked into the program: short stories, a context of 512 positions, and no
// template.
#include "tools/chat/chat_session.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/tokenizer/tokenizer.h"
#include "tools/chat/chat_template.h"
#include "tools/chat/conversation.h"
#include "tools/generation.h"
#include "tools/model.h"

namespace tvl {
namespace {

class ChatSessionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto engine = OpenModel<SelectedKernel>("", {.threads = 1});
    ASSERT_TRUE(engine.ok());
    engine_ = *std::move(engine);
    tokenizer_.emplace(*OpenTokenizer(engine_->reader()));
  }

  ChatSession Open(const ChatOptions& options, size_t context = 0) {
    return ChatSession(*tokenizer_, *engine_->NewSession({.context = context}), options);
  }

  struct Said {
    ChatTurn turn;
    ChatAnswer answer;
    std::string text;
  };

  // Says it and takes the answer, up to `interrupt_after` pieces of it.
  Said Say(ChatSession& chat, const std::string& message, size_t interrupt_after = 1000) {
    Said said;
    absl::StatusOr<ChatTurn> turn = chat.Begin(message);
    EXPECT_TRUE(turn.ok()) << turn.status();
    said.turn = *std::move(turn);
    size_t pieces = 0;
    const absl::StatusOr<ChatAnswer> answer =
        chat.Answer(said.turn, [&](std::string_view text) -> absl::Status {
          said.text += text;
          if (++pieces > interrupt_after) return absl::CancelledError("interrupted");
          return absl::OkStatus();
        });
    EXPECT_TRUE(answer.ok()) << answer.status();
    said.answer = *answer;
    return said;
  }

  std::unique_ptr<Engine<SelectedKernel>> engine_;
  std::optional<Tokenizer> tokenizer_;
};

TEST_F(ChatSessionTest, OnlyWhatIsNewIsRun) {
  ChatSession chat = Open({.max_tokens = 20});
  const Said first = Say(chat, "Once upon a time");
  EXPECT_EQ(first.turn.kept, 0u);
  EXPECT_EQ(first.answer.stats.prompt_tokens, 5u);
  EXPECT_EQ(first.answer.stop, StopReason::kMaxTokens);
  const Said second = Say(chat, "Then");
  // All but the last token of the answer has been run.
  EXPECT_EQ(second.turn.kept, 24u);
  EXPECT_EQ(second.turn.kept + second.answer.stats.prompt_tokens, second.turn.prompt.size());
  EXPECT_LT(second.answer.stats.prompt_tokens, 6u);
  EXPECT_EQ(chat.conversation().exchanges.at(1).answer, second.text);
}

// What was kept is what would be run, bit for bit.
TEST_F(ChatSessionTest, GoesOnAsIfAllWereRunAnew) {
  const ChatOptions options = {.max_tokens = 20, .sampling = {.temperature = 1, .seed = 5}};
  ChatSession chat = Open(options);
  Say(chat, "Once upon a time");
  const Conversation before = chat.conversation();
  const Said kept = Say(chat, "Then");
  ChatSession other = Open(options);
  other.SetConversation(before);
  const Said anew = Say(other, "Then");
  EXPECT_EQ(anew.turn.kept, 0u);
  EXPECT_GT(kept.turn.kept, 0u);
  EXPECT_EQ(anew.turn.prompt, kept.turn.prompt);
  EXPECT_EQ(anew.text, kept.text);
}

TEST_F(ChatSessionTest, TheSeedDecides) {
  const auto two = [&](uint64_t seed) {
    ChatSession chat = Open({.max_tokens = 15, .sampling = {.temperature = 1, .seed = seed}});
    const std::string first = Say(chat, "Tom").text;
    return first + "|" + Say(chat, "Tom").text;
  };
  EXPECT_EQ(two(1), two(1));
  EXPECT_NE(two(1), two(2));
  // Drawn tokens go on being counted: the second answer is not drawn by the first one's numbers.
  ChatSession chat = Open({.max_tokens = 15, .sampling = {.temperature = 1, .seed = 1}});
  Say(chat, "Tom");
  EXPECT_EQ(chat.conversation().steps, 15u);
}

TEST_F(ChatSessionTest, AnInterruptedAnswerStays) {
  ChatSession chat = Open({.max_tokens = 50});
  const Said said = Say(chat, "Once upon a time", 7);
  EXPECT_EQ(said.answer.stop, std::nullopt);
  EXPECT_FALSE(said.text.empty());
  ASSERT_EQ(chat.conversation().exchanges.size(), 1u);
  EXPECT_EQ(chat.conversation().exchanges[0].answer, said.text);
  EXPECT_GT(Say(chat, "and then").turn.kept, 5u);
}

TEST_F(ChatSessionTest, AMessageWithoutAnAnswerIsTakenBack) {
  auto session = engine_->NewSession({.prefill_chunk = 2});
  ChatSession chat(*tokenizer_, *std::move(session), {.max_tokens = 5});
  Say(chat, "Once");
  const Said said = Say(chat, "Once upon a time there was a dog", 0);
  EXPECT_EQ(said.answer.stop, std::nullopt);
  EXPECT_EQ(said.answer.stats.new_tokens, 0u);
  EXPECT_EQ(chat.conversation().exchanges.size(), 1u);
  EXPECT_EQ(Say(chat, "Once more").answer.stats.new_tokens, 5u);
}

TEST_F(ChatSessionTest, TheOldestExchangesMakeRoom) {
  ChatSession chat = Open({.max_tokens = 20}, /*context=*/100);
  chat.SetSystem("A dog.");
  size_t dropped = 0;
  for (int i = 0; i < 12; ++i) {
    const Said said = Say(chat, "Once upon a time there was a cat.");
    dropped += said.turn.dropped;
    EXPECT_EQ(chat.conversation().unread, dropped);
    EXPECT_LE(said.turn.prompt.size(), 80u);
    // What was read is of use again unless something has just been left out.
    if (i > 0 && said.turn.dropped == 0) {
      EXPECT_GT(said.turn.kept, 20u);
    }
    EXPECT_EQ(said.answer.stop, StopReason::kMaxTokens);
    // No more of them than half of the context asks for.
    if (said.turn.dropped > 0) {
      EXPECT_LE(said.turn.prompt.size(), 50u);
      const Conversation& all = chat.conversation();
      std::vector<Exchange> more(all.exchanges.begin() + static_cast<long>(all.unread) - 1,
                                 all.exchanges.end());
      more.back() = {.user = more.back().user};
      EXPECT_GT(EncodeChat(*tokenizer_, ChatTemplate::kPlain, all.system, more).size(), 50u);
    }
  }
  EXPECT_GT(dropped, 5u);
  EXPECT_EQ(chat.conversation().exchanges.size(), 12u);
}

TEST_F(ChatSessionTest, AMessageThatCannotFitIsRefused) {
  ChatSession chat = Open({.max_tokens = 20}, /*context=*/64);
  Say(chat, "Once upon a time");
  const Conversation before = chat.conversation();
  std::string message = "a";
  for (int i = 0; i < 100; ++i) message += " b";
  const absl::StatusOr<ChatTurn> turn = chat.Begin(message);
  EXPECT_TRUE(absl::IsOutOfRange(turn.status())) << turn.status();
  EXPECT_EQ(chat.conversation().exchanges.size(), before.exchanges.size());
  EXPECT_EQ(chat.conversation().unread, 0u);
  EXPECT_GT(Say(chat, "Then").turn.kept, 0u);
}

TEST_F(ChatSessionTest, AnAnswerEndsWithTheContext) {
  ChatSession chat = Open({}, /*context=*/16);
  const Said said = Say(chat, "Once upon a time");
  EXPECT_EQ(said.answer.stop, StopReason::kContextEnd);
  EXPECT_EQ(chat.session().position(), 16u);
  // There is no room for another exchange beside it.
  EXPECT_EQ(Say(chat, "Then").turn.dropped, 1u);
}

TEST_F(ChatSessionTest, ErrorsOfTheOutputEndIt) {
  ChatSession chat = Open({.max_tokens = 20});
  const absl::StatusOr<ChatTurn> turn = chat.Begin("Once");
  ASSERT_TRUE(turn.ok());
  const absl::StatusOr<ChatAnswer> answer =
      chat.Answer(*turn, [](std::string_view) { return absl::DataLossError("full"); });
  EXPECT_TRUE(absl::IsDataLoss(answer.status()));
}

TEST_F(ChatSessionTest, AnswersBeginWithoutTheTemplatesSpaces) {
  const auto shown = [](ChatTemplate family) {
    AnswerText text(family);
    std::string all;
    const auto emit = [&](std::string_view piece) {
      all += piece;
      return absl::OkStatus();
    };
    for (const std::string_view piece : {" ", "\n H", "i ", "\xE2\x82", "\xAC", "\xC3"})
      EXPECT_TRUE(text.Push(piece, emit).ok());
    EXPECT_TRUE(text.Finish(emit).ok());
    return all;
  };
  EXPECT_EQ(shown(ChatTemplate::kLlama2), "Hi \xE2\x82\xAC\xEF\xBF\xBD");
  EXPECT_EQ(shown(ChatTemplate::kPlain), " \n Hi \xE2\x82\xAC\xEF\xBF\xBD");
}

}  // namespace
}  // namespace tvl
