#include "tools/chat/chat_template.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "core/quoted.h"

namespace tvl {
namespace {

struct Name {
  ChatTemplate family;
  std::string_view name;
};

constexpr Name kNames[] = {
    {ChatTemplate::kLlama2, "llama2"},        {ChatTemplate::kLlama3, "llama3"},
    {ChatTemplate::kChatml, "chatml"},        {ChatTemplate::kMistralV1, "mistral-v1"},
    {ChatTemplate::kMistral, "mistral"},      {ChatTemplate::kMistralTekken, "mistral-tekken"},
    {ChatTemplate::kMistralV7, "mistral-v7"}, {ChatTemplate::kMistralV7Tekken, "mistral-v7-tekken"},
    {ChatTemplate::kZephyr, "zephyr"},        {ChatTemplate::kPhi3, "phi3"},
    {ChatTemplate::kGranite, "granite"},      {ChatTemplate::kGemma, "gemma"},
    {ChatTemplate::kPlain, "plain"},
};

class Parts {
 public:
  void Text(std::string_view text) {
    if (text.empty()) return;
    if (parts_.empty() || parts_.back().kind != PromptPart::Kind::kText)
      parts_.push_back({.kind = PromptPart::Kind::kText});
    parts_.back().text += text;
  }
  void Marker(std::string_view marker) {
    parts_.push_back({.kind = PromptPart::Kind::kMarker, .text = std::string(marker)});
  }
  void Bos() { parts_.push_back({.kind = PromptPart::Kind::kBos}); }
  void Eos() { parts_.push_back({.kind = PromptPart::Kind::kEos}); }
  // What the model wrote, or, where only its text is known, that with what the template has around.
  void Answer(const Exchange& exchange, std::string_view before, std::string_view text,
              std::string_view after) {
    if (exchange.answer_tokens.empty()) {
      Text(before);
      Text(text);
      Text(after);
    } else {
      parts_.push_back({.kind = PromptPart::Kind::kAnswer,
                        .text = std::string(text),
                        .tokens = exchange.answer_tokens});
    }
  }
  std::vector<PromptPart> Take() { return std::move(parts_); }

 private:
  std::vector<PromptPart> parts_;
};

std::string_view Trim(std::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace({text.data(), text.size()});
  return {trimmed.data(), trimmed.size()};
}

// Families that name the role before each message.
struct RoleLayout {
  std::string_view before_role;  // a marker
  std::string_view after_role;   // a marker that ends the role; empty: the next text does
  std::string_view before_text;
  std::string_view end;  // a marker; empty: EOS
  std::string_view after_end;
  bool trims = false;           // spaces around messages
  bool role_is_marker = false;  // <|user|> is one
  std::string_view model_role = "assistant";
  bool system_in_first_user = false;  // there is no such role: it begins the first user's message
};

const RoleLayout* FindRoleLayout(ChatTemplate family) {
  static constexpr RoleLayout kChatml = {.before_role = "<|im_start|>",
                                         .after_role = "",
                                         .before_text = "\n",
                                         .end = "<|im_end|>",
                                         .after_end = "\n"};
  static constexpr RoleLayout kLlama3 = {.before_role = "<|start_header_id|>",
                                         .after_role = "<|end_header_id|>",
                                         .before_text = "\n\n",
                                         .end = "<|eot_id|>",
                                         .after_end = "",
                                         .trims = true};
  static constexpr RoleLayout kZephyr = {.before_role = "",
                                         .after_role = "",
                                         .before_text = "\n",
                                         .end = "",
                                         .after_end = "\n",
                                         .role_is_marker = true};
  static constexpr RoleLayout kPhi3 = {.before_role = "",
                                       .after_role = "",
                                       .before_text = "\n",
                                       .end = "<|end|>",
                                       .after_end = "\n",
                                       .role_is_marker = true};
  static constexpr RoleLayout kGranite = {.before_role = "<|start_of_role|>",
                                          .after_role = "<|end_of_role|>",
                                          .before_text = "",
                                          .end = "<|end_of_text|>",
                                          .after_end = "\n"};
  static constexpr RoleLayout kGemma = {.before_role = "<start_of_turn>",
                                        .after_role = "",
                                        .before_text = "\n",
                                        .end = "<end_of_turn>",
                                        .after_end = "\n",
                                        .trims = true,
                                        .model_role = "model",
                                        .system_in_first_user = true};
  switch (family) {
    case ChatTemplate::kChatml:
      return &kChatml;
    case ChatTemplate::kLlama3:
      return &kLlama3;
    case ChatTemplate::kZephyr:
      return &kZephyr;
    case ChatTemplate::kPhi3:
      return &kPhi3;
    case ChatTemplate::kGranite:
      return &kGranite;
    case ChatTemplate::kGemma:
      return &kGemma;
    default:
      return nullptr;
  }
}

void BeginMessage(const RoleLayout& layout, std::string_view role, Parts* parts) {
  if (layout.role_is_marker) {
    parts->Marker(absl::StrCat("<|", std::string(role), "|>"));
  } else {
    parts->Marker(layout.before_role);
    parts->Text(role);
  }
  if (!layout.after_role.empty()) parts->Marker(layout.after_role);
  parts->Text(layout.before_text);
}

void EndMessage(const RoleLayout& layout, Parts* parts) {
  if (layout.end.empty()) {
    parts->Eos();
  } else {
    parts->Marker(layout.end);
  }
  parts->Text(layout.after_end);
}

void RenderRoles(const RoleLayout& layout, std::string_view system,
                 std::span<const Exchange> exchanges, Parts* parts) {
  const auto text = [&](std::string_view whole) { return layout.trims ? Trim(whole) : whole; };
  if (!system.empty() && !layout.system_in_first_user) {
    BeginMessage(layout, "system", parts);
    parts->Text(text(system));
    EndMessage(layout, parts);
  }
  for (const Exchange& exchange : exchanges) {
    BeginMessage(layout, "user", parts);
    if (!system.empty() && layout.system_in_first_user && &exchange == &exchanges.front()) {
      parts->Text(system);
      parts->Text("\n\n");
    }
    parts->Text(text(exchange.user));
    EndMessage(layout, parts);
    BeginMessage(layout, layout.model_role, parts);
    if (!exchange.answer) break;
    parts->Answer(exchange, "", text(*exchange.answer), "");
    EndMessage(layout, parts);
  }
}

// Meta's: each exchange is a text of its own, with BOS and EOS.
void RenderLlama2(std::string_view system, std::span<const Exchange> exchanges, Parts* parts) {
  for (const Exchange& exchange : exchanges) {
    const bool first = &exchange == &exchanges.front();
    if (!first) parts->Bos();
    std::string user = exchange.user;
    if (first && !system.empty())
      user = absl::StrCat("<<SYS>>\n", std::string(system), "\n<</SYS>>\n\n", user);
    parts->Text("[INST] ");
    parts->Text(Trim(user));
    parts->Text(" [/INST]");
    if (!exchange.answer) break;
    parts->Answer(exchange, " ", Trim(*exchange.answer), " ");
    parts->Eos();
  }
}

struct MistralLayout {
  std::string_view before_begin;  // of [INST]
  std::string_view after_begin;
  std::string_view before_end;  // of [/INST]
  std::string_view before_answer;
  enum { kInFirst, kInLast, kOwn } system;  // where the system prompt goes
  bool trims_answer = false;
};

// https://github.com/mistralai/cookbook, concept-deep-dive/tokenization/chat_templates.md.
MistralLayout LayoutOf(ChatTemplate family) {
  switch (family) {
    case ChatTemplate::kMistralV1:
      return {" ", " ", " ", " ", MistralLayout::kInFirst};
    case ChatTemplate::kMistralTekken:
      return {"", "", "", "", MistralLayout::kInLast};
    case ChatTemplate::kMistralV7:
      return {"", " ", "", " ", MistralLayout::kOwn};
    case ChatTemplate::kMistralV7Tekken:
      return {"", "", "", "", MistralLayout::kOwn};
    default:
      return {"", " ", "", " ", MistralLayout::kInLast, /*trims_answer=*/true};
  }
}

void RenderMistral(const MistralLayout& layout, std::string_view system,
                   std::span<const Exchange> exchanges, Parts* parts) {
  if (!system.empty() && layout.system == MistralLayout::kOwn) {
    parts->Marker("[SYSTEM_PROMPT]");
    parts->Text(layout.after_begin);
    parts->Text(system);
    parts->Marker("[/SYSTEM_PROMPT]");
  }
  for (const Exchange& exchange : exchanges) {
    const bool has_system = layout.system == MistralLayout::kInFirst
                                ? &exchange == &exchanges.front()
                                : layout.system == MistralLayout::kInLast && !exchange.answer;
    parts->Text(layout.before_begin);
    parts->Marker("[INST]");
    parts->Text(layout.after_begin);
    if (!system.empty() && has_system) {
      parts->Text(system);
      parts->Text("\n\n");
    }
    parts->Text(exchange.user);
    parts->Text(layout.before_end);
    parts->Marker("[/INST]");
    if (!exchange.answer) break;
    parts->Answer(exchange, layout.before_answer,
                  layout.trims_answer ? Trim(*exchange.answer) : *exchange.answer, "");
    parts->Eos();
  }
}

// One text, by turns. A message begins a line, unless it or what is there says otherwise.
void RenderPlain(std::string_view system, std::span<const Exchange> exchanges, Parts* parts) {
  bool within_line = false;
  const auto goes_on = [&](std::string_view text) {
    if (!text.empty()) within_line = !absl::ascii_isspace(static_cast<unsigned char>(text.back()));
  };
  const auto message = [&](std::string_view text) {
    if (within_line && !text.empty() &&
        !absl::ascii_isspace(static_cast<unsigned char>(text.front())))
      parts->Text("\n");
    parts->Text(text);
    goes_on(text);
  };
  message(system);
  for (const Exchange& exchange : exchanges) {
    message(exchange.user);
    if (!exchange.answer) break;
    parts->Answer(exchange, "", *exchange.answer, "");
    goes_on(*exchange.answer);
  }
}

// In one piece what templates put together: '<|user|>' + '\n' is "<|user|>" and a newline.
std::string Joined(std::string_view jinja) {
  return absl::StrReplaceAll({jinja.data(), jinja.size()}, {{"' + '", ""}, {"\\n", "\n"}});
}

// Whether the expression with <|user|> also writes the end of the message, as Zephyr's does and
// Falcon 3's does not.
bool EndsUserMessage(std::string_view jinja) {
  const size_t begin = jinja.find("<|user|>");
  if (begin == jinja.npos) return false;
  const std::string_view expression = jinja.substr(begin, jinja.find("}}", begin) - begin);
  return expression.find("eos_token") != jinja.npos ||
         expression.find("<|endoftext|>") != jinja.npos || expression.find("</s>") != jinja.npos;
}

// The markers are those by which llama.cpp tells families apart (src/llama-chat.cpp), with more
// attention to spaces; nullopt for families that it knows and this does not.
std::optional<ChatTemplate> Recognise(std::string_view jinja) {
  const auto has = [&](std::string_view text) { return jinja.find(text) != jinja.npos; };
  if (has("<|im_start|>")) {  // Phi-4 and SmolVLM have it too, in layouts of their own
    if (has("<|im_sep|>") || has("<end_of_utterance>")) return std::nullopt;
    return ChatTemplate::kChatml;
  }
  if (has("[INST]")) {
    const bool spaced = has("[INST] ");
    if (has("<<SYS>>")) return ChatTemplate::kLlama2;
    if (has("[SYSTEM_PROMPT]"))
      return spaced ? ChatTemplate::kMistralV7 : ChatTemplate::kMistralV7Tekken;
    if (has(" [/INST]")) return ChatTemplate::kMistralV1;
    return spaced ? ChatTemplate::kMistral : ChatTemplate::kMistralTekken;
  }
  if (has("<|start_header_id|>") && has("<|end_header_id|>")) return ChatTemplate::kLlama3;
  if (has("<|start_of_role|>") && has("<|end_of_role|>")) return ChatTemplate::kGranite;
  if (has("<start_of_turn>") && has("<end_of_turn>")) return ChatTemplate::kGemma;
  // Phi-4-mini writes the same markers without newlines.
  if (has("<|end|>") && has("<|assistant|>\n")) return ChatTemplate::kPhi3;
  if (has("<|assistant|>") && EndsUserMessage(jinja)) return ChatTemplate::kZephyr;
  return std::nullopt;
}

}  // namespace

std::string_view ChatTemplateName(ChatTemplate family) {
  return std::ranges::find(kNames, family, &Name::family)->name;
}

std::string ChatTemplateNames() {
  return absl::StrJoin(kNames, ", ", [](std::string* out, const Name& name) { *out += name.name; });
}

std::optional<ChatTemplate> FindChatTemplate(std::string_view name) {
  const auto found = std::ranges::find(kNames, name, &Name::name);
  if (found == std::end(kNames)) return std::nullopt;
  return found->family;
}

absl::StatusOr<ChatTemplate> RecogniseChatTemplate(std::string_view jinja) {
  if (Trim(jinja).empty()) return ChatTemplate::kPlain;
  if (const std::optional<ChatTemplate> family = Recognise(Joined(jinja))) return *family;
  return absl::UnimplementedError(
      absl::StrCat("chat template: expected one of a known family, found ", Quoted(jinja),
                   "; choose one with --template: ", ChatTemplateNames()));
}

std::vector<PromptPart> RenderChat(ChatTemplate family, std::string_view system,
                                   std::span<const Exchange> exchanges) {
  Parts parts;
  switch (family) {
    case ChatTemplate::kLlama2:
      RenderLlama2(system, exchanges, &parts);
      break;
    case ChatTemplate::kMistralV1:
    case ChatTemplate::kMistral:
    case ChatTemplate::kMistralTekken:
    case ChatTemplate::kMistralV7:
    case ChatTemplate::kMistralV7Tekken:
      RenderMistral(LayoutOf(family), system, exchanges, &parts);
      break;
    case ChatTemplate::kLlama3:
    case ChatTemplate::kChatml:
    case ChatTemplate::kZephyr:
    case ChatTemplate::kPhi3:
    case ChatTemplate::kGranite:
    case ChatTemplate::kGemma:
      RenderRoles(*FindRoleLayout(family), system, exchanges, &parts);
      break;
    case ChatTemplate::kPlain:
      RenderPlain(system, exchanges, &parts);
      break;
  }
  return parts.Take();
}

std::vector<std::string> ChatMarkers(ChatTemplate family) {
  const Exchange exchanges[] = {{.user = "u", .answer = "a"}, {.user = "u"}};
  std::vector<std::string> markers;
  for (PromptPart& part : RenderChat(family, "s", exchanges)) {
    if (part.kind == PromptPart::Kind::kMarker && !std::ranges::count(markers, part.text))
      markers.push_back(std::move(part.text));
  }
  return markers;
}

std::string_view ChatEndMarker(ChatTemplate family) {
  const RoleLayout* layout = FindRoleLayout(family);
  return layout == nullptr ? std::string_view() : layout->end;
}

}  // namespace tvl
