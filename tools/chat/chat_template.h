// How models that were trained on conversations expect them to be written: the layouts of the
// common families. Which one a model's own template has is found out by template_recogniser.h.
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

// To add a family: a line here and in kNames, its layout (FindRoleLayout, where messages are
// written between markers of their roles) and its case in RenderChat, what it is recognised by
// (template_recogniser.cc); and in chat_template_test.cc texts that its published template gives.
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

// Of families that name the role before each message.
struct RoleLayout {
  std::string_view before_role;  // a marker
  std::string_view after_role;   // a marker that ends the role; empty: the next text does
  std::string_view before_text;
  std::string_view end;  // a marker; empty: EOS
  std::string_view after_end;
  bool trims = false;           // white space around messages
  bool role_is_marker = false;  // <|user|> is one
  std::string_view model_role = "assistant";
  bool system_in_first_user = false;  // there is no such role: it begins the first user's message
};

// Null for the other families.
const RoleLayout* FindRoleLayout(ChatTemplate family);

// A family's layout as one model has it. Only families that name roles vary.
struct ChatLayout {
  // As the family's own models have it, so that a family alone is a layout.
  ChatLayout(ChatTemplate of_family);  // NOLINT(google-explicit-constructor)

  ChatTemplate family;
  std::string before_text;  // of a message, after its role
  std::string before_end;   // text of the template's between a message and its end
  std::string after_end;
  std::string opening;  // what the answer is begun with, such as "<think>\n"
  bool trims;           // white space around messages
  // Whether the template itself writes BOS: it then comes first whatever the tokenizer does.
  bool writes_bos = false;

  bool operator==(const ChatLayout&) const = default;
};

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
// be empty. Where the layout opens answers, what the model wrote after that keeps it in front, and
// an answer of which only the text is known is written as it is.
std::vector<PromptPart> RenderChat(const ChatLayout& layout, std::string_view system,
                                   std::span<const Exchange> exchanges);

// The template's tokens, and the one of them that ends an answer (empty: EOS does).
std::vector<std::string> ChatMarkers(const ChatLayout& layout);
std::string_view ChatEndMarker(ChatTemplate family);

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_CHAT_TEMPLATE_H_
