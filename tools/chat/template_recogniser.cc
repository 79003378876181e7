#include "tools/chat/template_recogniser.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/quoted.h"
#include "tools/chat/chat_template.h"
#include "tools/chat/template_layout.h"
#include "tools/chat/template_pieces.h"

namespace tvl {
namespace {

using Kind = TemplatePiece::Kind;

bool Has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

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
  return Has(expression, "eos_token") || Has(expression, "<|endoftext|>") ||
         Has(expression, "</s>");
}

// By the markers by which llama.cpp tells families apart (src/llama-chat.cpp), with more attention
// to spaces; nullopt for families that it knows and this does not.
std::optional<ChatTemplate> FamilyByMarkers(std::string_view jinja) {
  const auto has = [&](std::string_view text) { return Has(jinja, text); };
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

// Whether the template writes BOS, by name or by one of the texts that it has.
bool WritesBos(std::span<const TemplatePiece> pieces) {
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind == Kind::kBos) return true;
    if (piece.kind == Kind::kStatement && piece.text.starts_with("set ") &&
        Has(piece.text, "bos_token"))
      return true;
    if (piece.kind != Kind::kText) continue;
    for (const std::string_view bos : {"<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"}) {
      if (piece.text.starts_with(bos)) return true;
    }
  }
  return false;
}

// Whether a text is given to a variable for where nobody gives a system prompt.
bool SetsSystemPrompt(std::span<const TemplatePiece> pieces) {
  return std::ranges::any_of(pieces, [](const TemplatePiece& piece) {
    if (piece.kind != Kind::kStatement || !piece.text.starts_with("set ")) return false;
    const std::string_view statement = piece.text;
    const size_t equals = statement.find('=');
    const std::string_view name = statement.substr(0, equals);
    const size_t quote = statement.find_first_of("'\"", equals);
    if ((!Has(name, "system") && !Has(name, "prompt")) || Has(name, "tool") ||
        Has(name, "document"))
      return false;
    if (equals == statement.npos || quote == statement.npos) return false;
    const size_t end = statement.find(statement[quote], quote + 1);
    return Has(statement.substr(quote + 1, end - quote - 1), " ");
  });
}

// Of the families with [INST]: what stands at its sides must be spaces, or what they have there.
absl::Status CheckInstructions(std::span<const TemplatePiece> pieces) {
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind != Kind::kText || piece.with_tools) continue;
    constexpr std::string_view kEnd = "[/INST]";
    for (const std::string_view marker : {std::string_view("[INST]"), kEnd}) {
      const size_t at = piece.text.find(marker);
      if (at == piece.text.npos) continue;
      std::string_view after = std::string_view(piece.text).substr(at + marker.size());
      if (after.starts_with(' ')) after.remove_prefix(1);
      if (after.empty() || after.starts_with("<<SYS>>") || after.starts_with('[')) continue;
      return absl::UnimplementedError(absl::StrCat(Quoted(after), " after ", std::string(marker)));
    }
    const size_t end = piece.text.find(kEnd);
    if (end == piece.text.npos || end == 0) continue;
    const std::string_view before = std::string_view(piece.text).substr(0, end);
    if (before == " " || Has(before, "<</SYS>>") || Has(before, "[INST]")) continue;
    return absl::UnimplementedError(absl::StrCat(Quoted(before), " before ", std::string(kEnd)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RecognisedTemplate> RecogniseChatTemplate(std::string_view jinja) {
  if (absl::StripAsciiWhitespace({jinja.data(), jinja.size()}).empty())
    return RecognisedTemplate{.layout = ChatTemplate::kPlain};
  const std::string choose = absl::StrCat("; choose one with --template: ", ChatTemplateNames());
  const std::optional<ChatTemplate> family = FamilyByMarkers(Joined(jinja));
  if (!family) {
    return absl::UnimplementedError(absl::StrCat(
        "chat template: expected one of a known family, found ", Quoted(jinja), choose));
  }
  // Published ones have at most 30 kB. What follows takes time in proportion to the square.
  constexpr size_t kMaxBytes = size_t{256} << 10;
  if (jinja.size() > kMaxBytes) {
    return absl::UnimplementedError(absl::StrCat("chat template: expected at most ", kMaxBytes,
                                                 " bytes, found ", jinja.size(), choose));
  }
  const std::vector<TemplatePiece> pieces = TemplatePieces(jinja);
  RecognisedTemplate recognised = {.layout = *family};
  bool writes_system = SetsSystemPrompt(pieces);
  absl::Status sure = absl::OkStatus();
  if (FindRoleLayout(*family) == nullptr) {
    sure = CheckInstructions(pieces);
  } else if (auto read = ReadTemplateLayout(*family, pieces); read.ok()) {
    recognised.layout = read->layout;
    writes_system = writes_system || read->writes_system;
  } else {
    sure = read.status();
  }
  if (!sure.ok()) {
    return absl::UnimplementedError(absl::StrCat("chat template: expected the layout of ",
                                                 std::string(ChatTemplateName(*family)), ", found ",
                                                 sure.message(), choose));
  }
  recognised.layout.writes_bos = WritesBos(pieces);
  recognised.has_system_prompt = writes_system;
  recognised.refuses_system = Has(jinja, "System role not supported");  // Gemma's words
  if (Has(jinja, "strftime_now") || Has(jinja, "date_string"))
    recognised.left_out.push_back("today's date");
  if (Has(jinja, "split('</think>')") || Has(jinja, "split(\"</think>\")"))
    recognised.left_out.push_back("taking thoughts out of earlier answers");
  return recognised;
}

}  // namespace tvl
