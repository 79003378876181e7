#include "tools/chat/template_layout.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/quoted.h"
#include "tools/chat/chat_template.h"
#include "tools/chat/template_pieces.h"

namespace tvl {
namespace {

using Piece = TemplatePiece;
using Kind = TemplatePiece::Kind;

// A piece, or a marker that stood in a text.
struct Item {
  enum class What { kPiece, kRole, kEndOfRole, kEnd };
  What what = What::kPiece;
  Piece piece = {.kind = Kind::kText};
  std::string role = {};  // of kRole; empty: an expression
  // What follows a role that is no marker is part of the next text.

  bool IsText() const { return what == What::kPiece && piece.kind == Kind::kText; }
  bool Is(Kind kind) const { return what == What::kPiece && piece.kind == kind; }
  bool IsMarker() const { return what != What::kPiece; }
};

bool HasLetters(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)); });
}

bool IsWhite(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); });
}

bool Has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

absl::Status NotSure(std::string_view what) { return absl::UnimplementedError(std::string(what)); }

// Splits the texts at the markers of the family, and puts roles with what begins them.
class Splitter {
 public:
  explicit Splitter(const RoleLayout& markers) : markers_(markers) {}

  std::vector<Item> Split(std::span<const Piece> pieces) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      const Piece& piece = pieces[i];
      if (piece.kind == Kind::kText) {
        Text(piece);
      } else if (piece.kind == Kind::kEos && markers_.end.empty()) {
        items_.push_back({.what = Item::What::kEnd, .piece = piece});
      } else if (piece.kind == Kind::kRole && open_role_) {
        items_.push_back({.what = Item::What::kRole, .piece = piece});
        open_role_ = false;
        after_role_marker_ = markers_.role_is_marker;
      } else {
        items_.push_back({.piece = piece});
      }
    }
    return std::move(items_);
  }

 private:
  void Text(const Piece& piece) {
    std::string_view text = piece.text;
    if (std::exchange(after_role_marker_, false) && text.starts_with("|>")) text.remove_prefix(2);
    open_role_ = false;
    while (!text.empty()) {
      size_t begin = text.size(), length = 0;
      Item item = {.piece = piece};
      const auto look = [&](std::string_view marker, Item::What what, std::string_view role) {
        const size_t at = marker.empty() ? text.npos : text.find(marker);
        if (at == text.npos || at >= begin) return;
        begin = at;
        length = marker.size();
        item.what = what;
        item.role = role;
      };
      look(markers_.end, Item::What::kEnd, "");
      if (markers_.end.empty()) {
        for (const std::string_view eos : {"</s>", "<|endoftext|>"})
          look(eos, Item::What::kEnd, "");
      }
      look(markers_.after_role, Item::What::kEndOfRole, "");
      look(markers_.before_role, Item::What::kRole, "");
      if (markers_.role_is_marker) {
        for (const char* role : {"system", "user", "assistant"})
          look(absl::StrCat("<|", role, "|>"), Item::What::kRole, role);
        if (begin == text.size() && text.ends_with("<|")) begin = text.size() - 2;
      }
      PushText(piece, text.substr(0, begin));
      text.remove_prefix(begin);
      if (length == 0) {
        open_role_ = text == "<|";
        return;
      }
      text.remove_prefix(length);
      if (item.what == Item::What::kRole && !markers_.role_is_marker) {
        if (text.empty()) {  // the role is the next piece
          open_role_ = true;
          return;
        }
        size_t word = 0;
        while (word < text.size() &&
               (absl::ascii_isalnum(static_cast<unsigned char>(text[word])) || text[word] == '_'))
          ++word;
        item.role = text.substr(0, word);
        text.remove_prefix(word);
      }
      item.piece.text.clear();
      items_.push_back(std::move(item));
    }
  }

  void PushText(const Piece& piece, std::string_view text) {
    if (text.empty()) return;
    items_.push_back({.piece = piece});
    items_.back().piece.text = text;
  }

  const RoleLayout& markers_;
  std::vector<Item> items_;
  bool open_role_ = false;          // what begins a role was the last
  bool after_role_marker_ = false;  // "|>" is to come
};

// What variables are that templates are given by some programs only. Nothing: not known.
class Conditions {
 public:
  explicit Conditions(std::span<const Piece> pieces) : pieces_(pieces) {}

  std::optional<bool> Holds(std::string_view statement) const {
    const size_t space = statement.find(' ');
    const std::string_view condition =
        space == statement.npos ? std::string_view() : statement.substr(space + 1);
    if (Has(condition, "add_generation_prompt"))
      return !Has(condition, "not add_generation_prompt");
    const size_t end = condition.find_first_not_of(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    const std::string_view name = condition.substr(0, end);
    const std::string_view rest =
        end == condition.npos ? std::string_view() : condition.substr(end);
    if (name == "not" && rest.size() > 1 && rest.find(' ', 1) == rest.npos) {
      const std::optional<bool> value = Value(rest.substr(1));
      return value ? std::optional<bool>(!*value) : std::nullopt;
    }
    if (rest.empty()) return Value(name);
    if (IsSet(name)) return std::nullopt;
    if (rest == " is defined" || rest.starts_with(" is defined and ")) return false;
    if (rest == " is not defined" || rest.starts_with(" is not defined or ")) return true;
    return std::nullopt;
  }

 private:
  const Piece* FindSet(std::string_view name) const {
    const std::string set = absl::StrCat("set ", std::string(name), " ");
    const auto found = std::ranges::find_if(pieces_, [&](const Piece& piece) {
      return piece.kind == Kind::kStatement && piece.text.starts_with(set);
    });
    return found == pieces_.end() ? nullptr : &*found;
  }
  bool IsSet(std::string_view name) const { return FindSet(name) != nullptr; }

  // Of a variable that only few programs give a template, and what it is then by default.
  std::optional<bool> Value(std::string_view name) const {
    const Piece* set = FindSet(name);
    if (set == nullptr) {
      const bool rare = Has(name, "think") || name == "controls";
      return rare ? std::optional<bool>(false) : std::nullopt;
    }
    const std::string lower = absl::AsciiStrToLower(set->text);
    for (const bool value : {true, false}) {
      const std::string word = value ? "true" : "false";
      if (lower.ends_with("else " + word) || Has(lower, "default(" + word) ||
          lower.ends_with("= " + word))
        return value;
    }
    return std::nullopt;
  }

  std::span<const Piece> pieces_;
};

class Reader {
 public:
  Reader(ChatTemplate family, std::span<const Piece> pieces)
      : markers_(*FindRoleLayout(family)),
        conditions_(pieces),
        pieces_(pieces),
        items_(Splitter(markers_).Split(pieces)),
        found_{.layout = family} {}

  absl::StatusOr<TemplateLayout> Read() {
    bool in_system = false;
    for (size_t i = 0; i < items_.size(); ++i) {
      const Item& item = items_[i];
      if (item.piece.with_tools) continue;
      if (item.what == Item::What::kRole) {
        in_system = item.role == "system";
        if (absl::Status s = CheckRole(item); !s.ok()) return s;
        ReadRole(i);
      } else if (item.what == Item::What::kEnd) {
        ReadEnd(i, in_system);
        in_system = false;
      } else if (in_system && item.IsText() && HasLetters(item.piece.text)) {
        found_.writes_system = true;
      }
    }
    return Decide();
  }

 private:
  bool With(size_t i) const { return i < items_.size(); }

  absl::Status CheckRole(const Item& item) const {
    if (item.role.empty()) return absl::OkStatus();
    for (const std::string_view role : {std::string_view("user"), std::string_view("system"),
                                        std::string_view("tool"), markers_.model_role}) {
      if (item.role == role) return absl::OkStatus();
    }
    return NotSure(absl::StrCat("a role named ", Quoted(item.role)));
  }

  // What stands between a role and a message.
  void ReadRole(size_t i) {
    ++i;
    if (!markers_.after_role.empty()) {
      if (!With(i) || items_[i].what != Item::What::kEndOfRole) return;
      ++i;
    }
    std::string before;
    if (With(i) && items_[i].IsText()) before = items_[i++].piece.text;
    if (!With(i) || !items_[i].Is(Kind::kContent)) return;
    before_text_.insert(before);
    trims_.insert(Trims(items_[i].piece));
  }

  // What stands between a message and its end, and after that.
  void ReadEnd(size_t i, bool in_system) {
    std::string gap;
    size_t before = i;
    if (i > 0 && items_[i - 1].IsText()) gap = items_[--before].piece.text;
    const Item* left = before > 0 ? &items_[before - 1] : nullptr;
    if (left != nullptr && left->Is(Kind::kContent)) {
      before_end_.insert(gap);
      trims_.insert(Trims(left->piece));
    } else if (!in_system && (left == nullptr || !left->IsMarker())) {
      before_end_.insert(gap);
    }
    ReadAfterEnd(i + 1);
  }

  void ReadAfterEnd(size_t i) {
    if (With(i) && items_[i].IsText()) {
      std::string text = items_[i].piece.text;
      // Something that goes with it, such as another end.
      if (With(i + 1) && !items_[i + 1].IsMarker() && !items_[i + 1].Is(Kind::kStatement))
        text += items_[i + 1].piece.text;
      after_end_.insert(text);
      return;
    }
    if (With(i) && !items_[i].IsMarker() && !items_[i].Is(Kind::kStatement)) {
      after_end_.insert(items_[i].piece.text);  // an expression: another end, say
      return;
    }
    while (With(i) && items_[i].Is(Kind::kStatement)) ++i;
    const std::string& expected = found_.layout.after_end;
    const bool there = With(i) && items_[i].IsText() && items_[i].piece.text.starts_with(expected);
    const bool known = !With(i) || items_[i].IsText() || items_[i].what == Item::What::kRole;
    if (known) after_end_.insert(there ? expected : "");
  }

  bool Trims(const Piece& content) const {
    if (content.trimmed) return true;
    return std::ranges::any_of(pieces_, [&](const Piece& piece) {
      return piece.kind == Kind::kStatement &&
             piece.text.starts_with(absl::StrCat("set ", content.text, " ")) &&
             (Has(piece.text, "trim") || Has(piece.text, ".strip()"));
    });
  }

  // The texts that are written from item i on where the model is to go on, if they are the last:
  // nothing if a message follows. An error if they depend on something.
  absl::StatusOr<std::optional<std::string>> LastTexts(size_t i) const {
    std::string text;
    for (size_t depth = 0; With(i); ++i) {
      const Item& item = items_[i];
      if (item.what == Item::What::kEndOfRole) {
        text += markers_.after_role;
      } else if (item.IsText()) {
        text += item.piece.text;
      } else if (item.what == Item::What::kRole) {
        return text;
      } else if (item.IsMarker() || item.Is(Kind::kContent) || item.Is(Kind::kOther)) {
        return std::nullopt;
      } else if (item.Is(Kind::kStatement)) {
        const std::string& statement = item.piece.text;
        if (statement.starts_with("if ")) {
          absl::StatusOr<size_t> next = Enter(i);
          if (!next.ok()) return next.status();
          i = *next;
          depth += items_[i].piece.text.starts_with("endif") ? 0 : 1;
        } else if (statement.starts_with("el")) {
          i = SkipBranches(i);
          depth -= depth > 0 ? 1 : 0;
        } else if (statement.starts_with("endif")) {
          depth -= depth > 0 ? 1 : 0;
        } else if (statement.starts_with("endmacro")) {
          return std::nullopt;
        }
      }
    }
    return text;
  }

  // The statement of a chain of if, elif and else, from `i` on, whose branch is taken, or its
  // endif.
  absl::StatusOr<size_t> Enter(size_t i) const {
    for (;;) {
      const std::string& statement = items_[i].piece.text;
      if (statement.starts_with("endif") || statement == "else") return i;
      const std::optional<bool> holds = conditions_.Holds(statement);
      if (holds == true) return i;
      const size_t next = NextBranch(i);
      if (!holds) {
        for (size_t at = i + 1; at < next; ++at) {
          if (!items_[at].Is(Kind::kStatement) && !items_[at].piece.with_tools)
            return NotSure("a beginning of the answer that depends on " + Quoted(statement));
        }
      }
      if (!With(next)) return items_.size() - 1;
      i = next;
    }
  }

  // Behind the branch that statement i begins: its elif, else or endif.
  size_t NextBranch(size_t i) const {
    size_t depth = 0;
    for (++i; With(i); ++i) {
      if (!items_[i].Is(Kind::kStatement)) continue;
      const std::string& statement = items_[i].piece.text;
      if (statement.starts_with("if ")) {
        ++depth;
      } else if (statement.starts_with("endif")) {
        if (depth-- == 0) return i;
      } else if (depth == 0 && (statement.starts_with("elif ") || statement == "else")) {
        return i;
      }
    }
    return i;
  }

  // From the end of a branch that was taken to the endif.
  size_t SkipBranches(size_t i) const {
    while (With(i) && !items_[i].piece.text.starts_with("endif")) i = NextBranch(i);
    return std::min(i, items_.size() - 1);
  }

  // What the answer is begun with.
  absl::Status ReadOpenings() {
    const std::string& begin = found_.layout.before_text;
    const std::string front = absl::StrCat(std::string(markers_.after_role), begin);
    for (size_t i = 0; i < items_.size(); ++i) {
      const Item& item = items_[i];
      if (item.what != Item::What::kRole || item.role != markers_.model_role ||
          item.piece.with_tools)
        continue;
      const absl::StatusOr<std::optional<std::string>> last = LastTexts(i + 1);
      if (!last.ok()) return last.status();
      if (!*last) continue;
      if (!(*last)->starts_with(front))
        return NotSure(absl::StrCat(Quoted(**last), " after the model's role"));
      openings_.insert((*last)->substr(front.size()));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TemplateLayout> Decide() {
    ChatLayout& layout = found_.layout;
    if (before_end_.empty()) return NotSure("no message that ends");
    if (before_text_.size() == 1) layout.before_text = *before_text_.begin();
    if (after_end_.size() == 1) layout.after_end = *after_end_.begin();
    layout.before_end = *before_end_.begin();
    if (absl::Status s = ReadOpenings(); !s.ok()) return s;
    if (!openings_.empty()) layout.opening = *openings_.begin();
    if (trims_.size() == 1) layout.trims = *trims_.begin();
    const std::pair<const char*, const std::set<std::string>&> all[] = {
        {"between a role and a message", before_text_},
        {"between a message and its end", before_end_},
        {"after the end of a message", after_end_},
        {"before the answer", openings_}};
    for (const auto& [where, texts] : all) {
      for (const std::string& text : texts) {
        const bool marks = Has(text, "<|") || Has(text, "</s>") || Has(text, "eos_token");
        if (texts.size() == 1 && (IsWhite(text) || (&texts == &openings_ && !marks))) continue;
        if (texts.size() > 1 && IsWhite(text) && text == *texts.begin()) continue;
        return NotSure(absl::StrCat(Quoted(text), " ", where));
      }
    }
    return found_;
  }

  const RoleLayout& markers_;
  const Conditions conditions_;
  const std::span<const Piece> pieces_;
  const std::vector<Item> items_;
  TemplateLayout found_;
  std::set<std::string> before_text_, before_end_, after_end_, openings_;
  std::set<bool> trims_;
};

}  // namespace

absl::StatusOr<TemplateLayout> ReadTemplateLayout(ChatTemplate family,
                                                  std::span<const TemplatePiece> pieces) {
  return Reader(family, pieces).Read();
}

}  // namespace tvl
