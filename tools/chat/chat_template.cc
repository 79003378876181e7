#include "tools/chat/chat_template.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

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

// Bytes of the white space that `text` begins with, as Python's str.strip() and with it Jinja's
// trim know it (str.isspace: bidirectional types WS, B, S and category Zs); 0: it begins with none.
// Not U+180E, U+200B and U+FEFF, which have been taken for it elsewhere.
size_t WhiteBytes(std::string_view text) {
  const uint8_t first = static_cast<uint8_t>(text.front());
  if ((first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x20)) return 1;
  if (text.starts_with("\u0085") || text.starts_with("\u00a0")) return 2;
  const std::string_view next = text.substr(0, 3);
  // The order of the bytes is that of the code points.
  const bool white = (next >= "\u2000" && next <= "\u200a") || next == "\u1680" ||
                     next == "\u2028" || next == "\u2029" || next == "\u202f" || next == "\u205f" ||
                     next == "\u3000";
  return white ? 3 : 0;
}

// Less the white space at both ends.
std::string_view Trim(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = WhiteBytes(text);
    if (bytes == 0) break;
    text.remove_prefix(bytes);
  }
  while (!text.empty()) {
    size_t last = text.size() - 1;  // the character that begins there is the last
    while (last > 0 && (static_cast<uint8_t>(text[last]) & 0xC0) == 0x80) --last;
    if (WhiteBytes(text.substr(last)) != text.size() - last) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

}  // namespace

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

ChatLayout::ChatLayout(ChatTemplate of_family) : family(of_family), trims(false) {
  const RoleLayout* roles = FindRoleLayout(family);
  if (roles == nullptr) return;
  before_text = roles->before_text;
  after_end = roles->after_end;
  trims = roles->trims;
}

namespace {

// The layout of a family that names roles, as one model has it.
struct Roles {
  const RoleLayout& markers;
  const ChatLayout& texts;
};

void BeginMessage(const Roles& layout, std::string_view role, Parts* parts) {
  if (layout.markers.role_is_marker) {
    parts->Marker(absl::StrCat("<|", std::string(role), "|>"));
  } else {
    parts->Marker(layout.markers.before_role);
    parts->Text(role);
  }
  if (!layout.markers.after_role.empty()) parts->Marker(layout.markers.after_role);
  parts->Text(layout.texts.before_text);
}

void EndMessage(const Roles& layout, Parts* parts) {
  parts->Text(layout.texts.before_end);
  if (layout.markers.end.empty()) {
    parts->Eos();
  } else {
    parts->Marker(layout.markers.end);
  }
  parts->Text(layout.texts.after_end);
}

// "<think>\n" is a marker, where the vocabulary has it, and a newline.
void OpenAnswer(std::string_view opening, Parts* parts) {
  while (!opening.empty()) {
    const size_t begin = opening.find('<');
    const size_t end = begin == opening.npos ? begin : opening.find('>', begin);
    if (end == opening.npos) break;
    parts->Text(opening.substr(0, begin));
    parts->Marker(opening.substr(begin, end + 1 - begin));
    opening.remove_prefix(end + 1);
  }
  parts->Text(opening);
}

void RenderRoles(const Roles& layout, std::string_view system, std::span<const Exchange> exchanges,
                 Parts* parts) {
  const bool system_in_first_user = layout.markers.system_in_first_user;
  const auto text = [&](std::string_view whole) {
    return layout.texts.trims ? Trim(whole) : whole;
  };
  if (!system.empty() && !system_in_first_user) {
    BeginMessage(layout, "system", parts);
    parts->Text(text(system));
    EndMessage(layout, parts);
  }
  for (const Exchange& exchange : exchanges) {
    BeginMessage(layout, "user", parts);
    if (!system.empty() && system_in_first_user && &exchange == &exchanges.front()) {
      parts->Text(system);
      parts->Text("\n\n");
    }
    parts->Text(text(exchange.user));
    EndMessage(layout, parts);
    BeginMessage(layout, layout.markers.model_role, parts);
    if (!exchange.answer || !exchange.answer_tokens.empty())
      OpenAnswer(layout.texts.opening, parts);
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

std::vector<PromptPart> RenderChat(const ChatLayout& layout, std::string_view system,
                                   std::span<const Exchange> exchanges) {
  Parts parts;
  switch (layout.family) {
    case ChatTemplate::kLlama2:
      RenderLlama2(system, exchanges, &parts);
      break;
    case ChatTemplate::kMistralV1:
    case ChatTemplate::kMistral:
    case ChatTemplate::kMistralTekken:
    case ChatTemplate::kMistralV7:
    case ChatTemplate::kMistralV7Tekken:
      RenderMistral(LayoutOf(layout.family), system, exchanges, &parts);
      break;
    case ChatTemplate::kLlama3:
    case ChatTemplate::kChatml:
    case ChatTemplate::kZephyr:
    case ChatTemplate::kPhi3:
    case ChatTemplate::kGranite:
    case ChatTemplate::kGemma:
      RenderRoles({*FindRoleLayout(layout.family), layout}, system, exchanges, &parts);
      break;
    case ChatTemplate::kPlain:
      RenderPlain(system, exchanges, &parts);
      break;
  }
  return parts.Take();
}

std::vector<std::string> ChatMarkers(const ChatLayout& layout) {
  const Exchange exchanges[] = {{.user = "u", .answer = "a"}, {.user = "u"}};
  std::vector<std::string> markers;
  for (PromptPart& part : RenderChat(layout, "s", exchanges)) {
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
