#include "models/tokenizer/sentence_piece_codec.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr size_t kByteCount = 256;
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";      // U+2581
constexpr std::string_view kUnknownText = " \xE2\x81\x87 ";  // U+2047, as SentencePiece writes it

constexpr std::array<char, kByteCount> kBytes = [] {
  std::array<char, kByteCount> bytes = {};
  for (size_t i = 0; i < kByteCount; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}();

// The byte that a piece such as <0x0A> names, or -1.
int ByteOf(std::string_view piece) {
  if (piece.size() != 6) return -1;
  for (size_t byte = 0; byte < kByteCount; ++byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    if (piece[3] == kDigits[byte >> 4] && piece[4] == kDigits[byte & 15])
      return static_cast<int>(byte);
  }
  return -1;
}

// The token that text can become, or -1.
TokenId FindText(const TokenizerView& vocabulary, std::string_view text) {
  const TokenId id = vocabulary.FindPiece(text);
  if (id < 0) return -1;
  const PieceType type = vocabulary.piece_type(id);
  const bool text_type =
      type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused;
  return text_type ? id : -1;
}

// Bytes of the UTF-8 character that begins with this byte, by that byte alone.
size_t CharacterBytes(char first) {
  const unsigned char c = static_cast<unsigned char>(first);
  return c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
}

// A run of the text that is, or is to become, a token. In a doubly linked list over an array: a
// merge lengthens the left one and unlinks the right one, so that the order of slots stays that of
// the text.
struct Symbol {
  size_t begin, bytes;
  TokenId merged;     // what this and the next become, -1: they do not merge
  size_t prev, next;  // slots; the end of the list at either side is the number of slots
};

// A merge that was possible when it was queued. It still is when the symbol's `merged` is `id` and
// the two are as long as then.
struct Candidate {
  float score;
  TokenId id;
  size_t slot, bytes;
};
struct WorseThan {
  bool operator()(const Candidate& a, const Candidate& b) const {
    if (a.score != b.score) return a.score < b.score;
    return a.slot > b.slot;
  }
};

// Merges the characters of one stretch of text.
class Merger {
 public:
  Merger(const TokenizerView& vocabulary, std::string_view text)
      : vocabulary_(vocabulary), text_(text) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t bytes = std::min(CharacterBytes(text[begin]), text.size() - begin);
      symbols_.push_back({begin, bytes, -1, symbols_.size() - 1, symbols_.size() + 1});
      begin += bytes;
    }
    end_ = symbols_.size();
    if (end_ != 0) symbols_[0].prev = end_;
    for (size_t slot = 0; slot < end_; ++slot) Queue(slot);
  }

  void Run() {
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), WorseThan());
      const Candidate best = queue_.back();
      queue_.pop_back();
      const Symbol& left = symbols_[best.slot];
      if (left.merged != best.id || left.next == end_) continue;
      if (left.bytes + symbols_[left.next].bytes == best.bytes) Apply(best.slot);
    }
  }

  void Emit(std::vector<TokenId>* tokens) const {
    for (size_t slot = 0; slot < end_; slot = symbols_[slot].next) {
      const std::string_view run = text_.substr(symbols_[slot].begin, symbols_[slot].bytes);
      const TokenId id = FindText(vocabulary_, run);
      if (id >= 0) {
        tokens->push_back(id);
      } else if (vocabulary_.has_flag(kTokenizerByteFallback)) {
        for (const char c : run)
          tokens->push_back(vocabulary_.FindPiece(BytePieceName(static_cast<uint8_t>(c))));
      } else if (vocabulary_.unk_id() >= 0) {
        tokens->push_back(vocabulary_.unk_id());
      }
    }
  }

 private:
  void Apply(size_t slot) {
    Symbol& left = symbols_[slot];
    Symbol& right = symbols_[left.next];
    left.bytes += right.bytes;
    left.next = right.next;
    right.merged = -1;  // makes its candidates stale
    if (left.next != end_) symbols_[left.next].prev = slot;
    Queue(slot);
    if (left.prev != end_) Queue(left.prev);
  }

  void Queue(size_t slot) {
    Symbol& left = symbols_[slot];
    left.merged = -1;
    if (left.next == end_) return;
    const size_t bytes = left.bytes + symbols_[left.next].bytes;
    const TokenId id = FindText(vocabulary_, text_.substr(left.begin, bytes));
    if (id < 0) return;
    const float score = vocabulary_.score(id);
    if (score != score) return;  // only a damaged file has NaN, which would break the heap's order
    left.merged = id;
    queue_.push_back({score, id, slot, bytes});
    std::push_heap(queue_.begin(), queue_.end(), WorseThan());
  }

  const TokenizerView& vocabulary_;
  const std::string_view text_;
  size_t end_ = 0;  // number of slots, and the mark of either end of the list
  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_;  // heap, best first; holds stale candidates too
};

// The pieces that are matched as a whole, longest first.
std::vector<TokenId> AddedTokens(const TokenizerView& vocabulary) {
  std::vector<TokenId> added;
  for (size_t i = 0; i < vocabulary.added_token_count(); ++i) {
    const TokenId id = static_cast<TokenId>(vocabulary.added_token(i).id);
    if (!vocabulary.piece(id).empty()) added.push_back(id);
  }
  std::ranges::stable_sort(added, std::greater<>(),
                           [&](TokenId id) { return vocabulary.piece(id).size(); });
  return added;
}

}  // namespace

std::string BytePieceName(uint8_t byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

absl::Status CheckSentencePieceTokenizer(const TokenizerView& vocabulary) {
  constexpr char kSection[] = "tokenizer section: ";
  if (!vocabulary.has_scores() || !vocabulary.has_piece_types()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kSection, vocabulary.has_scores() ? "piece_types" : "scores",
                     ": expected one per piece for a tokenizer of kind 2, found none"));
  }
  constexpr uint32_t kFlags =
      kTokenizerDummyPrefix | kTokenizerByteFallback | kTokenizerAddBos | kTokenizerAddEos;
  if ((vocabulary.flags() & ~kFlags) != 0) {
    return absl::UnimplementedError(absl::StrCat(kSection, "flags: expected no bits but ", kFlags,
                                                 " for a tokenizer of kind 2, found ",
                                                 vocabulary.flags()));
  }
  if (!vocabulary.has_flag(kTokenizerByteFallback)) return absl::OkStatus();
  for (size_t byte = 0; byte < kByteCount; ++byte) {
    const std::string name = BytePieceName(static_cast<uint8_t>(byte));
    const TokenId id = vocabulary.FindPiece(name);
    if (id >= 0 && vocabulary.piece_type(id) == PieceType::kByte) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(kSection, "pieces: expected ", name,
                     " of type byte for byte fallback in a tokenizer of kind 2, found ",
                     id < 0 ? "none" : "one of another type"));
  }
  return absl::OkStatus();
}

void EncodeSentencePiece(const TokenizerView& vocabulary, std::string_view text, bool begins,
                         std::vector<TokenId>* tokens) {
  if (text.empty()) return;
  // U+2581 is the space that it stands for: SentencePiece cannot tell them apart either.
  std::string spaced;
  spaced.reserve(text.size() + 1);
  if (begins && vocabulary.has_flag(kTokenizerDummyPrefix)) spaced += ' ';
  for (size_t i = 0; i < text.size();) {
    const bool mark = text.substr(i, kSpaceMark.size()) == kSpaceMark;
    spaced += mark ? ' ' : text[i];
    i += mark ? kSpaceMark.size() : 1;
  }
  const std::string_view all = spaced;
  const auto merge = [&](size_t begin, size_t end) {
    Merger merger(vocabulary, all.substr(begin, end - begin));
    merger.Run();
    merger.Emit(tokens);
  };
  const std::vector<TokenId> added = AddedTokens(vocabulary);
  size_t begin = 0;
  for (size_t i = 0; i < all.size() && !added.empty();) {
    const auto match = std::ranges::find_if(
        added, [&](TokenId id) { return all.substr(i).starts_with(vocabulary.piece(id)); });
    if (match == added.end()) {
      ++i;
      continue;
    }
    merge(begin, i);
    tokens->push_back(*match);
    begin = i += vocabulary.piece(*match).size();
  }
  merge(begin, all.size());
}

std::string_view DecodeSentencePiece(const TokenizerView& vocabulary, TokenId previous,
                                     TokenId token) {
  if (!vocabulary.IsValid(token)) return {};
  std::string_view piece = vocabulary.piece(token);
  switch (vocabulary.piece_type(token)) {
    case PieceType::kControl:
      return {};
    case PieceType::kUnknown:
      return kUnknownText;
    case PieceType::kByte: {
      const int byte = ByteOf(piece);
      if (byte >= 0) return std::string_view(&kBytes[static_cast<size_t>(byte)], 1);
      break;
    }
    default:
      break;
  }
  // The dummy prefix, which Encode puts there.
  if (vocabulary.has_flag(kTokenizerDummyPrefix) && previous >= 0 &&
      previous == vocabulary.bos_id() && piece.starts_with(' ')) {
    piece.remove_prefix(1);
  }
  return piece;
}

}  // namespace tvl
