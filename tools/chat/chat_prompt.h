// A conversation as the tokens that a model reads.
#ifndef TVL_TOOLS_CHAT_CHAT_PROMPT_H_
#define TVL_TOOLS_CHAT_CHAT_PROMPT_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/tokenizer.h"
#include "tools/chat/chat_template.h"

namespace tvl {

// The tokens of RenderChat, with BOS in front, once, if the tokenizer or the template wants it
// there. Only the template
// makes its tokens: the same words in a message stay words, also where the vocabulary would take
// them for a token anywhere.
std::vector<TokenId> EncodeChat(const Tokenizer& tokenizer, const ChatLayout& layout,
                                std::string_view system, std::span<const Exchange> exchanges);

// How many tokens both begin with.
size_t CommonPrefix(std::span<const TokenId> a, std::span<const TokenId> b);

// Tells where an answer ends, and what its tokens say: the tokenizer, and besides its end tokens
// the one by which the template ends an answer.
class ChatVocabulary {
 public:
  // `tokenizer` must outlive it.
  ChatVocabulary(const Tokenizer& tokenizer, ChatTemplate family);

  bool IsEnd(TokenId token) const { return token == end_ || tokenizer_.IsEnd(token); }
  // Whether the template has a marker by which answers end and the vocabulary no such token.
  bool lacks_end_marker() const { return lacks_end_marker_; }
  std::string_view Decode(TokenId previous, TokenId token) const {
    return tokenizer_.Decode(previous, token);
  }

 private:
  const Tokenizer& tokenizer_;
  TokenId end_;  // -1: none
  bool lacks_end_marker_;
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_CHAT_PROMPT_H_
