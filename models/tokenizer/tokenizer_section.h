#ifndef TVL_MODELS_TOKENIZER_TOKENIZER_SECTION_H_
#define TVL_MODELS_TOKENIZER_TOKENIZER_SECTION_H_

// The tokenizer section of a .tvl file: what TVL_FORMAT.md calls "Tokenizer section", as code.
//
//   importer -> TokenizerData -> SerializeTokenizer -> bytes in the file
//   mapped bytes -> ParseTokenizer -> TokenizerView -> Tokenizer (tokenizer.h)
//
// The view reads the mapped bytes in place. Opening copies the fixed header and walks the offset
// table once; it hashes nothing, because the index from piece to id is stored ready to probe.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/token.h"

namespace tvl {

// The file is little-endian and is used in place.
static_assert(std::endian::native == std::endian::little);

// How text becomes pieces. The numbers are the file's.
enum class TokenizerKind : uint32_t {
  kLlama2c = 1,           // llama2.c: score BPE, spaces as they are, "<0xNN>" byte pieces
  kSentencePieceBpe = 2,  // SentencePiece BPE: score BPE, spaces as U+2581 (GGUF `llama`)
  kByteLevelBpe = 3,      // byte-level BPE with ranked merges (GGUF `gpt2`)
};

// Bits of the section's flags.
inline constexpr uint32_t kTokenizerDummyPrefix = 1u << 0;  // text gets a space in front
inline constexpr uint32_t kTokenizerByteFallback = 1u
                                                   << 1;    // unknown characters become byte pieces
inline constexpr uint32_t kTokenizerAddBos = 1u << 2;       // the model expects BOS in front
inline constexpr uint32_t kTokenizerAddEos = 1u << 3;       // the model expects EOS at the end
inline constexpr uint32_t kTokenizerEscapeSpace = 1u << 4;  // pieces write a space as U+2581
inline constexpr uint32_t kTokenizerCollapseSpaces = 1u << 5;  // runs of spaces are one space
inline constexpr uint32_t kTokenizerSpaceSuffix = 1u << 6;     // the dummy prefix is a suffix
inline constexpr uint32_t kTokenizerWholePieceFirst = 1u
                                                      << 7;  // a word that is a piece skips merging
inline constexpr uint32_t kTokenizerKnownFlags = (1u << 8) - 1;

// What a piece is; the numbers are SentencePiece's and GGUF's.
enum class PieceType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// Whether tokens of the type are no text: text becomes one only where special tokens are asked for.
constexpr bool IsControl(PieceType type) {
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

// Whether tokens of the type are found by their bytes where text is merged. User-defined ones are
// not: they are found in the text as a whole, before that (AddedToken), and what a file spells
// otherwise than its text is has that type without being an added token.
constexpr bool IsMergedText(PieceType type) {
  return !IsControl(type) && type != PieceType::kUserDefined;
}

// One merge of byte-level BPE; its rank is its index in the table. Numbers from vocab_size on are
// bytes that are no piece: vocab_size + b the single byte b, those from vocab_size + 256 on what
// merges make on their way (TVL_FORMAT.md, "Kind 3 in full").
struct TokenizerMerge {
  uint32_t left;
  uint32_t right;
  uint32_t result;
  bool operator==(const TokenizerMerge&) const = default;
};
static_assert(sizeof(TokenizerMerge) == 12);

// A token that is matched in the text as a whole, before any merging.
struct AddedToken {
  uint32_t id;
  uint32_t flags;  // kAddedToken* below
  bool operator==(const AddedToken&) const = default;
};
static_assert(sizeof(AddedToken) == 8);

inline constexpr uint32_t kAddedTokenSpecial = 1u << 0;     // not shown in decoded text
inline constexpr uint32_t kAddedTokenStripLeft = 1u << 1;   // eats the spaces in front of it
inline constexpr uint32_t kAddedTokenStripRight = 1u << 2;  // eats the spaces after it
inline constexpr uint32_t kAddedTokenSingleWord = 1u << 3;  // not matched inside a word
inline constexpr uint32_t kAddedTokenNormalized = 1u << 4;  // matched after normalisation

// What an importer fills in: the section's content with owning types.
struct TokenizerData {
  TokenizerKind kind = TokenizerKind::kLlama2c;
  uint32_t flags = 0;
  uint32_t pre_tokenizer = 0;
  TokenId bos_id = -1;  // -1: none
  TokenId eos_id = -1;
  TokenId unk_id = -1;
  TokenId pad_id = -1;
  std::vector<std::string> pieces;     // (vocab_size)
  std::vector<float> scores;           // (vocab_size), or empty
  std::vector<PieceType> piece_types;  // (vocab_size), or empty
  std::vector<TokenizerMerge> merges;  // in order of rank
  std::vector<AddedToken> added_tokens;
  std::vector<TokenId> end_tokens;  // generation stops at any of these
  std::string chat_template;        // Jinja source, UTF-8
  std::string pre_tokenizer_pattern;
  std::string normalizer_map;
};

// The tables of the section, in the order of their descriptors and of their bytes.
enum TokenizerTable : uint32_t {
  kPieceOffsets = 0,
  kPieceBytes,
  kScores,
  kPieceTypes,
  kPieceIndex,
  kMerges,
  kMergeIndex,
  kAddedTokens,
  kEndTokens,
  kChatTemplate,
  kPreTokenizerPattern,
  kNormalizerMap,
  kTokenizerTableCount,
};

// The first bytes of the section, exactly as they lie in the file.
struct TokenizerHeader {
  struct Table {
    uint64_t offset;  // from the section's start; 0 when absent
    uint64_t bytes;
  };
  uint64_t section_bytes;
  uint64_t checksum;  // XXH3-64 of the bytes [16, section_bytes)
  uint32_t version;
  uint32_t header_bytes;
  uint32_t kind;
  uint32_t flags;
  uint32_t vocab_size;
  uint32_t max_piece_bytes;
  uint32_t pre_tokenizer;
  uint32_t reserved;
  int32_t bos_id;
  int32_t eos_id;
  int32_t unk_id;
  int32_t pad_id;
  Table tables[kTokenizerTableCount];
};
static_assert(sizeof(TokenizerHeader) == 256);

// Typed, non-owning access to a section that ParseTokenizer has accepted. Trivially copyable; the
// mapped bytes must outlive every copy. No call allocates, and none reads outside the section
// whatever the tables hold.
class TokenizerView {
 public:
  TokenizerKind kind() const { return static_cast<TokenizerKind>(header_.kind); }
  bool has_flag(uint32_t flag) const { return (header_.flags & flag) != 0; }
  uint32_t flags() const { return header_.flags; }
  uint32_t pre_tokenizer() const { return header_.pre_tokenizer; }
  size_t vocab_size() const { return header_.vocab_size; }
  size_t max_piece_bytes() const { return header_.max_piece_bytes; }
  size_t section_bytes() const { return header_.section_bytes; }
  TokenId bos_id() const { return header_.bos_id; }
  TokenId eos_id() const { return header_.eos_id; }
  TokenId unk_id() const { return header_.unk_id; }
  TokenId pad_id() const { return header_.pad_id; }

  bool IsValid(TokenId id) const {
    return id >= 0 && static_cast<uint32_t>(id) < header_.vocab_size;
  }

  // The piece's bytes; empty when id is not in the vocabulary.
  std::string_view piece(TokenId id) const {
    if (!IsValid(id)) return {};
    const uint32_t begin = Load<uint32_t>(kPieceOffsets, static_cast<size_t>(id));
    const uint32_t end = Load<uint32_t>(kPieceOffsets, static_cast<size_t>(id) + 1);
    return std::string_view(chars(kPieceBytes) + begin, end - begin);
  }

  bool has_scores() const { return header_.tables[kScores].bytes != 0; }
  // REQUIRES: has_scores(), IsValid(id). May be NaN in a file that lies.
  float score(TokenId id) const { return Load<float>(kScores, static_cast<size_t>(id)); }

  bool has_piece_types() const { return header_.tables[kPieceTypes].bytes != 0; }
  // REQUIRES: has_piece_types(), IsValid(id).
  PieceType piece_type(TokenId id) const {
    return Load<PieceType>(kPieceTypes, static_cast<size_t>(id));
  }

  size_t merge_count() const { return Count(kMerges, sizeof(TokenizerMerge)); }
  // REQUIRES: rank < merge_count(). Ids are not checked against the vocabulary.
  TokenizerMerge merge(size_t rank) const { return Load<TokenizerMerge>(kMerges, rank); }

  size_t added_token_count() const { return Count(kAddedTokens, sizeof(AddedToken)); }
  // REQUIRES: i < added_token_count().
  AddedToken added_token(size_t i) const { return Load<AddedToken>(kAddedTokens, i); }

  size_t end_token_count() const { return Count(kEndTokens, sizeof(TokenId)); }
  // REQUIRES: i < end_token_count().
  TokenId end_token(size_t i) const { return Load<TokenId>(kEndTokens, i); }

  std::string_view chat_template() const { return text(kChatTemplate); }
  std::string_view pre_tokenizer_pattern() const { return text(kPreTokenizerPattern); }
  std::string_view normalizer_map() const { return text(kNormalizerMap); }

  // The lowest id whose piece is exactly `bytes`, or -1; those that text can become (IsMergedText)
  // come before all others, which would hide them. One hash and, in a well-formed file, two probes
  // or so; at worst one walk over the index.
  TokenId FindPiece(std::string_view bytes) const;

  // The rank of the merge of two pieces, or -1.
  int64_t FindMerge(TokenId left, TokenId right) const;

 private:
  friend absl::StatusOr<TokenizerView> ParseTokenizer(std::span<const std::byte> section);
  friend absl::Status VerifyTokenizerChecksum(const TokenizerView& view);

  TokenizerView(const std::byte* base, const TokenizerHeader& header)
      : base_(base), header_(header) {}

  size_t Count(TokenizerTable table, size_t element_bytes) const {
    return static_cast<size_t>(header_.tables[table].bytes) / element_bytes;
  }
  const char* chars(TokenizerTable table) const {
    return reinterpret_cast<const char*>(base_ + header_.tables[table].offset);
  }
  std::string_view text(TokenizerTable table) const {
    return std::string_view(chars(table), static_cast<size_t>(header_.tables[table].bytes));
  }
  // memcpy compiles to one load and needs neither alignment nor a type punned pointer.
  template <typename T>
  T Load(TokenizerTable table, size_t index) const {
    T value;
    std::memcpy(&value, base_ + header_.tables[table].offset + index * sizeof(T), sizeof(T));
    return value;
  }
  template <typename Matches>
  int64_t Probe(TokenizerTable index, uint64_t hash, uint64_t limit, Matches matches) const;

  const std::byte* base_;
  TokenizerHeader header_;
};

// The section's bytes; the same data gives the same bytes on every host.
// REQUIRES: `pieces` is not empty and below 2^31 in number and 2^32 in bytes; `scores` and
// `piece_types` are empty or as long as `pieces`; ids are within the vocabulary. ParseTokenizer
// refuses what breaks this.
std::string SerializeTokenizer(const TokenizerData& data);

// Checks everything that reading relies on and gives a view into `section`, which starts at the
// section and may reach beyond its end. Not checked, because it would cost a pass over the tables:
// the checksum, the indexes' content (probing them is safe anyway) and the scores. Errors: one
// sentence that names the field, what was expected and what was found; callers put the file's name
// in front.
absl::StatusOr<TokenizerView> ParseTokenizer(std::span<const std::byte> section);

// Reads the whole section. DataLoss when its bytes are not those that were written.
absl::Status VerifyTokenizerChecksum(const TokenizerView& view);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_TOKENIZER_SECTION_H_
