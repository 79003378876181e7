// How models that were trained on conversations expect them to be written: the layouts of the
// common families, recognised by what a model's own template contains. That template is a program
// (Jinja), and is not run.
#ifndef TVL_TOOLS_CHAT_CHAT_TEMPLATE_H_
#define TVL_TOOLS_CHAT_CHAT_TEMPLATE_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/token.h"

namespace tvl {

// To add a family: a line here and in kNames, its layout (kRoleLayouts, where messages are written
// between markers of their roles) and its case in RenderChat, what it is recognised by
// (RecogniseChatTemplate); and in chat_template_test.cc texts that its published template gives.
enum class ChatTemplate {
  kLlama2,           // Llama 2 Chat
  kLlama3,           // Llama 3 Instruct
  kChatml,           // Qwen, SmolLM, OpenHermes and many more
  kMistralV1,        // Mistral 7B Instruct v0.1 and v0.2, Mixtral
  kMistral,          // Mistral 7B Instruct v0.3: v3
  kMistralTekken,    // Mistral Nemo: v3 without spaces
  kMistralV7,        // Mistral Large 2411: a system prompt of its own
  kMistralV7Tekken,  // Mistral Small 3
  kZephyr,           // Zephyr, TinyLlama Chat, StableLM Zephyr
  kPhi3,             // Phi-3, Phi-3.5
  kGranite,          // Granite 3
  kGemma,            // Gemma 1 to 3
  kPlain,            // none: the model goes on with the text
};

std::string_view ChatTemplateName(ChatTemplate family);
// "llama2, llama3, ...": those that --template takes.
std::string ChatTemplateNames();
std::optional<ChatTemplate> FindChatTemplate(std::string_view name);

// The family whose layout the template `jinja` writes; kPlain if it is empty. Unimplemented, with
// the template's beginning, for any other.
absl::StatusOr<ChatTemplate> RecogniseChatTemplate(std::string_view jinja);

// A user's message and what the model made of it.
struct Exchange {
  std::string user = {};
  std::optional<std::string> answer = {};  // none yet
  std::vector<TokenId> answer_tokens =
      {};  // as the model wrote them; empty if the text is all there is
};

// A part of a prompt.
struct PromptPart {
  enum class Kind {
    kText,    // what people, or the template, write: never a token of the template's, whatever it
              // says
    kMarker,  // one of the template's tokens, such as <|im_start|>; text where the vocabulary has
              // none
    kAnswer,  // text that the model wrote as `tokens`
    kBos,
    kEos,
  };
  Kind kind;
  std::string text = {};
  std::span<const TokenId> tokens = {};  // of kAnswer: those of the Exchange

  bool operator==(const PromptPart& other) const {
    return kind == other.kind && text == other.text;
  }
};

// The conversation up to where the model is to answer the last user's message. What stands before a
// text in general (BOS) is left to the tokenizer. Parts of text are as long as can be. `system` may
// be empty.
std::vector<PromptPart> RenderChat(ChatTemplate family, std::string_view system,
                                   std::span<const Exchange> exchanges);

// The template's tokens, and the one of them that ends an answer (empty: EOS does).
std::vector<std::string> ChatMarkers(ChatTemplate family);
std::string_view ChatEndMarker(ChatTemplate family);

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_CHAT_TEMPLATE_H_
