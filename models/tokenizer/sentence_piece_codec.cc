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
#include "models/tokenizer/byte_text.h"
#include "models/tokenizer/pair_merger.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tokenizer/utf8.h"

namespace tvl {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";      // U+2581
constexpr std::string_view kUnknownText = " \xE2\x81\x87 ";  // U+2047, as SentencePiece writes it

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

bool IsText(PieceType type) { return IsMergedText(type) && type != PieceType::kByte; }

// The token that text can become, or -1.
TokenId FindText(const TokenizerView& vocabulary, std::string_view text) {
  const TokenId id = vocabulary.FindPiece(text);
  if (id < 0) return -1;
  return IsText(vocabulary.piece_type(id)) ? id : -1;
}

// A byte that begins no well-formed character is one by itself, as it is to SentencePiece.
// (llama.cpp goes by the first byte alone, which then takes what follows it along.)
size_t CharacterBytes(std::string_view text) {
  return std::max<size_t>(Utf8CharacterBytes(text), 1);
}

// Slots hold runs of one stretch of text, characters at first; two become the token that their text
// is.
class TextRule {
 public:
  explicit TextRule(const TokenizerView& vocabulary)
      : vocabulary_(vocabulary),
        // Some files name a control token as the unknown one: text must not become that.
        has_unknown_(vocabulary.unk_id() >= 0 &&
                     vocabulary.piece_type(vocabulary.unk_id()) != PieceType::kControl) {}

  // Begins a stretch; returns how many characters it has.
  size_t Begin(std::string_view text) {
    runs_.clear();
    for (size_t begin = 0; begin < text.size();) {
      const size_t bytes = CharacterBytes(text.substr(begin));
      runs_.push_back({text.substr(begin, bytes), -1});
      begin += bytes;
    }
    return runs_.size();
  }

  PairMerge Find(size_t left, size_t right) const {
    const TokenId id = FindText(vocabulary_, Together(left, right));
    if (id < 0) return {};
    const float score = vocabulary_.score(id);
    if (score != score) return {};  // only a damaged file has NaN
    return {id, ScorePriority(score)};
  }

  void Apply(size_t left, size_t right, TokenId id) { runs_[left] = {Together(left, right), id}; }

  void Emit(size_t slot, std::vector<TokenId>* tokens) const {
    const Run& run = runs_[slot];
    const TokenId id = run.id >= 0 ? run.id : FindText(vocabulary_, run.text);
    if (id >= 0) {
      tokens->push_back(id);
    } else if (vocabulary_.has_flag(kTokenizerByteFallback)) {
      for (const char c : run.text) {
        const TokenId byte = vocabulary_.FindPiece(BytePieceName(static_cast<uint8_t>(c)));
        if (byte >= 0) tokens->push_back(byte);
      }
    } else if (has_unknown_) {
      tokens->push_back(vocabulary_.unk_id());
    }
  }

 private:
  struct Run {
    std::string_view text;
    TokenId id;  // of what has been merged; -1: a character, not looked up yet
  };

  std::string_view Together(size_t left, size_t right) const {
    return {runs_[left].text.data(), runs_[left].text.size() + runs_[right].text.size()};
  }

  const TokenizerView& vocabulary_;
  const bool has_unknown_;
  std::vector<Run> runs_;
};

// Where no piece reaches across, a text can be cut before merging: the queues of merges are then
// short. Between a word and the space before the next one that is almost everywhere. Finding out
// takes a look at all pieces, which short texts are not worth.
class Cuts {
 public:
  Cuts(const TokenizerView& vocabulary, size_t text_bytes) {
    constexpr size_t kWorthwhileBytes = 8192;
    none_ = text_bytes < kWorthwhileBytes;
    for (size_t i = 0; i < vocabulary.vocab_size() && !none_; ++i) {
      const TokenId id = static_cast<TokenId>(i);
      if (!IsText(vocabulary.piece_type(id))) continue;
      const std::string_view piece = vocabulary.piece(id);
      for (size_t at = 1; at < piece.size(); ++at) {
        if (piece[at] == ' ') joined_[static_cast<uint8_t>(piece[at - 1])] = true;
      }
    }
  }

  // The end of the stretch that begins with the character at `begin`.
  size_t EndOfStretch(std::string_view text, size_t begin) const {
    if (none_) return text.size();
    // A space is never within a character.
    for (size_t at = text.find(' ', begin + 1); at != text.npos; at = text.find(' ', at + 1)) {
      if (!joined_[static_cast<uint8_t>(text[at - 1])]) return at;
    }
    return text.size();
  }

 private:
  bool none_;
  std::array<bool, kByteCount> joined_ = {};  // whether a piece has this byte before a space
};

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
    if (id < 0 || vocabulary.piece_type(id) == PieceType::kByte) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        kSection, "pieces: expected ", name,
        " of type byte for byte fallback in a tokenizer of kind 2, found one of another type"));
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
  const Cuts cuts(vocabulary, spaced.size());
  TextRule rule(vocabulary);
  PairMerger merger(&rule);
  for (size_t begin = 0; begin < spaced.size();) {
    const size_t end = cuts.EndOfStretch(spaced, begin);
    merger.Run(rule.Begin(std::string_view(spaced).substr(begin, end - begin)));
    merger.ForEach([&](size_t slot) { rule.Emit(slot, tokens); });
    begin = end;
  }
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
      if (byte >= 0) return ByteText(static_cast<uint8_t>(byte));
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
