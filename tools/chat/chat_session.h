// A conversation with a model: what has been said, and the session that has read it.
#ifndef TVL_TOOLS_CHAT_CHAT_SESSION_H_
#define TVL_TOOLS_CHAT_CHAT_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/token.h"
#include "models/engine.h"
#include "models/tokenizer/tokenizer.h"
#include "samplers/standard_chain.h"
#include "tools/chat/chat_prompt.h"
#include "tools/chat/chat_template.h"
#include "tools/chat/conversation.h"
#include "tools/chat/utf8_stream.h"
#include "tools/generation.h"

namespace tvl {

// Takes the text of tokens one by one and hands on what people are to see of an answer: whole
// characters, and without the spaces in front that belong to the template. Allocates nothing.
class AnswerText {
 public:
  explicit AnswerText(ChatTemplate family) : begins_(family != ChatTemplate::kPlain) {}

  // emit(std::string_view) -> absl::Status.
  template <typename Emit>
  absl::Status Push(std::string_view bytes, Emit&& emit) {
    while (begins_ && !bytes.empty()) {
      begins_ = IsSpace(bytes.front());
      if (begins_) bytes.remove_prefix(1);
    }
    return characters_.Push(bytes, emit);
  }
  template <typename Emit>
  absl::Status Finish(Emit&& emit) {
    return characters_.Finish(emit);
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  bool begins_;
  Utf8Stream characters_;
};

struct ChatOptions {
  ChatLayout layout = ChatTemplate::kPlain;
  std::optional<uint64_t> max_tokens = {};  // of an answer; none: until it or the context ends
  SamplingOptions sampling = {};
};

// What is to be read for a message.
struct ChatTurn {
  std::vector<TokenId> prompt;  // all of the conversation
  size_t kept = 0;              // of these, those that have been read before
  size_t dropped = 0;           // exchanges that the context has no room for any more, of this turn
};

struct ChatAnswer {
  std::optional<StopReason> stop;  // none: interrupted
  GenerationStats stats;
};

class ChatSession {
 public:
  using Session = Engine<SelectedKernel>::SessionType;

  // `tokenizer` must outlive it.
  ChatSession(const Tokenizer& tokenizer, Session session, const ChatOptions& options);

  const Conversation& conversation() const { return conversation_; }
  void SetSystem(std::string text) { conversation_.system = std::move(text); }
  void SetConversation(Conversation conversation) {
    conversation_ = std::move(conversation);
    read_ = false;
  }
  // Positions of the context that this conversation takes so far.
  size_t taken() const { return read_ ? session_.position() : 0; }
  const Session& session() const { return session_; }
  ChatTemplate family() const { return options_.layout.family; }

  // Adds a message and makes ready to answer it: drops the part of the KV cache that no longer
  // matches. If there is no room for all and for an answer (a quarter of the context, if it may be
  // that long), the oldest exchanges are left out, and at once so many that half of the context is
  // free: all that remains is then read anew, which should not happen with every message.
  // OutOfRange if the message has no room alone; the conversation is then as it was.
  absl::StatusOr<ChatTurn> Begin(std::string message);

  // Reads the turn and hands the answer to emit(std::string_view) -> absl::Status, whose error ends
  // it; before and after the prompt and between its chunks it is called with nothing. What has been
  // written stays in the conversation, whatever ended it; a message without any is taken back.
  // Errors: of the session, and of emit; but Cancelled is an answer that was interrupted.
  absl::StatusOr<ChatAnswer> Answer(const ChatTurn& turn,
                                    const std::function<absl::Status(std::string_view)>& emit);

 private:
  std::vector<TokenId> Encode(size_t unread) const;
  void Keep(const ChatTurn& turn, const GenerationStats& stats, bool ended);

  const Tokenizer& tokenizer_;
  ChatVocabulary vocabulary_;
  Session session_;
  ChatOptions options_;
  StandardChain sampler_;
  Conversation conversation_;
  bool read_ = false;  // the session is of this conversation, not of one before
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_CHAT_SESSION_H_
