#include "tools/chat/chat_session.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "samplers/standard_chain.h"
#include "tools/chat/chat_prompt.h"
#include "tools/generation.h"
#include "tools/units.h"

namespace tvl {

ChatSession::ChatSession(const Tokenizer& tokenizer, Session session, const ChatOptions& options)
    : tokenizer_(tokenizer),
      vocabulary_(tokenizer, options.layout.family),
      session_(std::move(session)),
      options_(options),
      sampler_(MakeStandardChain(options.sampling)) {}

// The conversation without its oldest exchanges.
std::vector<TokenId> ChatSession::Encode(size_t unread) const {
  return EncodeChat(tokenizer_, options_.layout, conversation_.system,
                    std::span(conversation_.exchanges).subspan(unread));
}

absl::StatusOr<ChatTurn> ChatSession::Begin(std::string message) {
  const size_t context = session_.context();
  const size_t for_answer = std::min<uint64_t>(options_.max_tokens.value_or(context), context / 4);
  std::vector<Exchange>& exchanges = conversation_.exchanges;
  exchanges.push_back({.user = std::move(message)});
  const size_t last = exchanges.size() - 1;
  const size_t unread_before = conversation_.unread;

  ChatTurn turn;
  size_t unread = unread_before;
  turn.prompt = Encode(unread);
  if (turn.prompt.size() > context - for_answer && unread < last) {
    // The fewest that leave half of the context free: the more there are, the more tokens.
    size_t most = last;
    while (unread < most) {
      const size_t middle = unread + (most - unread) / 2;
      if (Encode(middle).size() > context / 2) {
        unread = middle + 1;
      } else {
        most = middle;
      }
    }
    turn.prompt = Encode(unread);
  }
  absl::Status fits;
  if (turn.prompt.empty()) {
    fits = absl::InvalidArgumentError("the message has no token in this model's vocabulary");
  } else if (turn.prompt.size() > context) {
    fits = absl::OutOfRangeError(absl::StrCat(
        "the message, with the system prompt and the template, is ",
        FormatTokens(turn.prompt.size()), " long; expected at most the context's ", context,
        context < session_.config().context_length ? "; shorten it, or use a larger --context"
                                                   : "; shorten it"));
  }
  if (!fits.ok()) {
    exchanges.pop_back();
    return fits;
  }
  conversation_.unread = unread;
  turn.dropped = unread - unread_before;
  // What follows the last token is known once it is run.
  turn.kept = std::min(CommonPrefix(session_.tokens(), turn.prompt), turn.prompt.size() - 1);
  session_.Rewind(turn.kept);
  read_ = true;
  return turn;
}

absl::StatusOr<ChatAnswer> ChatSession::Answer(
    const ChatTurn& turn, const std::function<absl::Status(std::string_view)>& emit) {
  AnswerText text(options_.layout.family);
  const auto sink = [&](std::string_view bytes) {
    if (bytes.empty()) return emit(bytes);
    return text.Push(bytes, emit);
  };
  ChatAnswer answer;
  const size_t max_tokens = options_.max_tokens.value_or(session_.context());
  const absl::StatusOr<StopReason> stop =
      Generate(session_, vocabulary_, std::span(turn.prompt).subspan(turn.kept), max_tokens,
               sampler_, sink, &answer.stats, nullptr, conversation_.steps);
  Keep(turn, answer.stats, stop.ok());
  if (stop.ok()) {
    answer.stop = *stop;
  } else if (!absl::IsCancelled(stop.status())) {
    return stop.status();
  }
  if (absl::Status s = text.Finish(emit); !s.ok() && !absl::IsCancelled(s)) return s;
  return answer;
}

// Puts what was written into the conversation.
void ChatSession::Keep(const ChatTurn& turn, const GenerationStats& stats, bool ended) {
  std::vector<TokenId> written;
  if (session_.position() > turn.prompt.size()) {
    const std::span<const TokenId> run = session_.tokens().subspan(turn.prompt.size());
    written.assign(run.begin(), run.end());
  }
  if (stats.not_run) written.push_back(*stats.not_run);
  conversation_.steps += stats.new_tokens;
  if (written.empty() && !ended) {
    conversation_.exchanges.pop_back();
    return;
  }
  std::string answer;
  const auto append = [&](std::string_view text) {
    answer += text;
    return absl::OkStatus();
  };
  AnswerText text(options_.layout.family);
  TokenId previous = turn.prompt.back();
  for (const TokenId token : written) {
    text.Push(vocabulary_.Decode(previous, token), append).IgnoreError();
    previous = token;
  }
  text.Finish(append).IgnoreError();
  conversation_.exchanges.back().answer = std::move(answer);
  conversation_.exchanges.back().answer_tokens = std::move(written);
}

}  // namespace tvl
