#include "tools/chat/template_pieces.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"

namespace tvl {
namespace {

using Kind = TemplatePiece::Kind;

std::string_view Strip(std::string_view text) {
  const absl::string_view stripped = absl::StripAsciiWhitespace({text.data(), text.size()});
  return {stripped.data(), stripped.size()};
}

bool Has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

bool IsWord(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Whether `word` stands in `text` as a whole name or the end of one ("loop_messages" has messages).
bool HasName(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if (end == text.size() || !IsWord(text[end])) return true;
  }
  return false;
}

// Calls part(std::string_view) with what stands between + and ~ outside of brackets and strings.
template <typename Part>
void ForEachOperand(std::string_view expression, Part&& part) {
  size_t begin = 0;
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      --depth;
    } else if (depth == 0 && (c == '+' || c == '~')) {
      part(expression.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  part(expression.substr(begin));
}

// The value of a string literal; nothing for any other expression.
std::optional<std::string> Literal(std::string_view expression) {
  if (expression.size() < 2 || (expression[0] != '\'' && expression[0] != '"')) return std::nullopt;
  std::string value;
  for (size_t i = 1; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == expression[0]) {
      if (i + 1 != expression.size()) return std::nullopt;
      return value;
    }
    if (c != '\\' || i + 1 == expression.size()) {
      value += c;
      continue;
    }
    const char escaped = expression[++i];
    value += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped;
  }
  return std::nullopt;
}

// Whether `condition` is about tools or documents, but for what stands behind not: a word, or all
// in brackets.
bool AsksForTools(std::string_view condition) {
  bool negated = false;
  int skipped = 0;  // brackets that are open behind a not
  std::string word;
  const auto asks = [&] {
    const bool tool =
        Has(word, "tool") || Has(word, "document") || word == "function" || word == "ipython";
    const bool found = tool && !negated;
    if (!word.empty()) negated = word == "not";
    word.clear();
    return found;
  };
  for (const char c : condition) {
    if (skipped > 0) {
      skipped += c == '(' ? 1 : c == ')' ? -1 : 0;
    } else if (IsWord(c) || Has(".[]'\"", {&c, 1})) {
      if (c != '\'' && c != '"') word += c;
    } else if (asks()) {
      return true;
    } else if (c == '(' && std::exchange(negated, false)) {
      skipped = 1;
    }
  }
  return asks();
}

class Parser {
 public:
  explicit Parser(std::string_view jinja) : rest_(jinja) {
    // As Jinja2 has it: one newline at the end is the file's.
    if (rest_.ends_with('\n')) rest_.remove_suffix(1);
  }

  std::vector<TemplatePiece> Parse() {
    while (!rest_.empty()) {
      const size_t open = FindTag();
      std::string_view text = rest_.substr(0, open);
      if (open == rest_.npos) {
        Text(text);
        break;
      }
      const char kind = rest_[open + 1];
      const char sign = open + 2 < rest_.size() ? rest_[open + 2] : '\0';
      if (sign == '-') {
        while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back())))
          text.remove_suffix(1);
      } else if (kind != '{' && sign != '+') {
        StripIndent(&text);
      }
      Text(text);
      rest_.remove_prefix(open + 2);
      Tag(kind);
    }
    return std::move(pieces_);
  }

 private:
  size_t FindTag() const {
    for (size_t at = rest_.find('{'); at != rest_.npos; at = rest_.find('{', at + 1)) {
      if (at + 1 < rest_.size() && Has("{%#", rest_.substr(at + 1, 1))) return at;
    }
    return rest_.npos;
  }

  // lstrip_blocks: what stands before a tag in its line, if that is white.
  void StripIndent(std::string_view* text) const {
    size_t end = text->size();
    while (end > 0 && ((*text)[end - 1] == ' ' || (*text)[end - 1] == '\t')) --end;
    const bool begins_line = end == 0 ? at_line_start_ : (*text)[end - 1] == '\n';
    if (begins_line) *text = text->substr(0, end);
  }

  // The end of a tag, outside of strings.
  size_t FindEnd(std::string_view close) const {
    char quote = 0;
    for (size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (quote != 0) {
        if (c == '\\') {
          ++i;
        } else if (c == quote) {
          quote = 0;
        }
      } else if ((c == '\'' || c == '"') && close != "#}") {
        quote = c;
      } else if (rest_.substr(i).starts_with(close)) {
        return i;
      }
    }
    return rest_.npos;
  }

  void Tag(char kind) {
    const std::string close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    const size_t end = FindEnd(close);
    std::string_view inside = rest_.substr(0, end);
    rest_ = end == rest_.npos ? std::string_view() : rest_.substr(end + 2);
    const bool strips = inside.ends_with('-');
    if (!inside.empty() && (inside.front() == '-' || inside.front() == '+'))
      inside.remove_prefix(1);
    if (!inside.empty() && (inside.back() == '-' || inside.back() == '+')) inside.remove_suffix(1);
    inside = Strip(inside);
    at_line_start_ = false;
    if (strips) {
      while (!rest_.empty() && absl::ascii_isspace(static_cast<unsigned char>(rest_.front())))
        rest_.remove_prefix(1);
    } else if (kind != '{' && rest_.starts_with('\n')) {  // trim_blocks
      rest_.remove_prefix(1);
      at_line_start_ = true;
    }
    if (kind == '{') Expression(inside);
    if (kind == '%') Statement(inside);
  }

  void Text(std::string_view text) {
    if (text.empty()) return;
    if (pieces_.empty() || pieces_.back().kind != Kind::kText)
      pieces_.push_back({.kind = Kind::kText, .with_tools = WithTools()});
    pieces_.back().text += text;
  }

  void Expression(std::string_view expression) {
    ForEachOperand(expression, [&](std::string_view operand) {
      operand = Strip(operand);
      while (operand.starts_with('(') && operand.ends_with(')') && !Has(operand, " if "))
        operand = Strip(operand.substr(1, operand.size() - 2));
      if (const std::optional<std::string> literal = Literal(operand)) {
        Text(*literal);
      } else {
        pieces_.push_back(Operand(operand));
      }
    });
  }

  TemplatePiece Operand(std::string_view operand) const {
    TemplatePiece piece = {
        .kind = Kind::kOther, .text = std::string(operand), .with_tools = WithTools()};
    // What a condition chooses is not known, but for what it gives as a rule.
    if (Has(operand, " if ")) return piece;
    piece.trimmed = Has(operand, "| trim") || Has(operand, "|trim") || Has(operand, ".strip()");
    if (HasName(operand, "bos_token")) {
      piece.kind = Kind::kBos;
    } else if (HasName(operand, "eos_token")) {
      piece.kind = Kind::kEos;
    } else if (HasName(operand, "role")) {
      piece.kind = Kind::kRole;
    } else if (HasName(operand, "content") && !Has(operand, "reasoning")) {
      piece.kind = Kind::kContent;
    }
    return piece;
  }

  void Statement(std::string_view statement) {
    const size_t space = statement.find_first_of(" \t\n(");
    const std::string_view word = statement.substr(0, space);
    if (word == "set") {
      const size_t equals = statement.find('=');
      if (equals == statement.npos) return;
      // A message is set to be written in its place; other values say what they are.
      const std::string_view value = Strip(statement.substr(equals + 1));
      pieces_.push_back({.kind = Kind::kStatement, .text = std::string(statement)});
      if (Has(value, "'<") || Has(value, "\"<") || Has(value, "INST]")) Expression(value);
      pieces_.push_back({.kind = Kind::kStatement, .text = "set"});
      return;
    }
    if (word == "elif" || word == "else") {
      if (!blocks_.empty()) blocks_.back() = word == "elif" && AsksForTools(statement);
    } else if (word.starts_with("end")) {
      if (!blocks_.empty()) blocks_.pop_back();
    } else if (word == "if" || word == "for" || word == "macro" || word == "filter" ||
               word == "call" || word == "generation") {
      blocks_.push_back(word != "generation" && AsksForTools(statement));
    }
    pieces_.push_back({.kind = Kind::kStatement, .text = std::string(statement)});
  }

  bool WithTools() const {
    for (const bool tools : blocks_) {
      if (tools) return true;
    }
    return false;
  }

  std::string_view rest_;
  bool at_line_start_ = true;
  std::vector<bool> blocks_;  // those that are open: whether they ask for tools
  std::vector<TemplatePiece> pieces_;
};

}  // namespace

std::vector<TemplatePiece> TemplatePieces(std::string_view jinja) { return Parser(jinja).Parse(); }

}  // namespace tvl
