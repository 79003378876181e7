#include "models/import/gguf_byte_level.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/quoted.h"
#include "models/tokenizer/pre_tokenizer.h"

namespace tvl {
namespace {

constexpr char kMerges[] = "tokenizer.ggml.merges";
constexpr char kTokens[] = "tokenizer.ggml.tokens";
constexpr char kPre[] = "tokenizer.ggml.pre";

constexpr uint32_t kBosAndWholePieces = kTokenizerAddBos | kTokenizerWholePieceFirst;

// What llama.cpp makes of tokenizer.ggml.pre (src/llama-vocab.cpp).
struct NamedPreTokenizer {
  std::string_view name;
  PreTokenizer number;
  uint32_t flags = 0;
};
constexpr NamedPreTokenizer kPreTokenizers[] = {
    {"a.x-4.0", PreTokenizer::kGpt2},
    {"chatglm-bpe", PreTokenizer::kLlama3},
    {"codeshell", PreTokenizer::kStarCoder},
    {"command-r", PreTokenizer::kStarCoder},
    {"dbrx", PreTokenizer::kLlama3},
    {"deepseek-coder", PreTokenizer::kDeepSeekCoder},
    {"deepseek-llm", PreTokenizer::kDeepSeekLlm},
    {"deepseek-r1-qwen", PreTokenizer::kQwen2},
    {"deepseek-v3", PreTokenizer::kDeepSeek3},
    {"default", PreTokenizer::kDefault},
    {"exaone", PreTokenizer::kStarCoder},
    {"exaone4", PreTokenizer::kGpt2},
    {"falcon", PreTokenizer::kFalcon},
    {"falcon-h1", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"falcon3", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"gigachat", PreTokenizer::kGpt2},
    {"glm4", PreTokenizer::kLlama3},
    {"gpt-2", PreTokenizer::kGpt2},
    {"gpt-4o", PreTokenizer::kGpt4o},
    {"granite-docling", PreTokenizer::kGpt2},
    {"grok-2", PreTokenizer::kQwen2},
    {"hunyuan", PreTokenizer::kQwen2},
    {"hunyuan-dense", PreTokenizer::kDeepSeek3},
    {"jais", PreTokenizer::kGpt2},
    {"jina-de", PreTokenizer::kGpt2},
    {"jina-es", PreTokenizer::kGpt2},
    {"jina-v2-de", PreTokenizer::kGpt2},
    {"jina-v2-es", PreTokenizer::kGpt2},
    {"kormo", PreTokenizer::kQwen2},
    {"lfm2", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama-bpe", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama-v3", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama3", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama4", PreTokenizer::kGpt4o},
    {"megrez", PreTokenizer::kQwen2},
    {"mellum", PreTokenizer::kGpt2},
    {"midm-2.0", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"minerva-7b", PreTokenizer::kStarCoder},
    {"mpt", PreTokenizer::kGpt2},
    {"olmo", PreTokenizer::kGpt2},
    {"phi-2", PreTokenizer::kGpt2},
    {"pixtral", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"qwen2", PreTokenizer::kQwen2},
    {"refact", PreTokenizer::kStarCoder},
    {"smaug-bpe", PreTokenizer::kLlama3},
    {"smollm", PreTokenizer::kStarCoder},
    {"stablelm2", PreTokenizer::kQwen2},
    {"starcoder", PreTokenizer::kStarCoder},
    {"tekken", PreTokenizer::kTekken, kBosAndWholePieces},
    {"trillion", PreTokenizer::kGpt2},
};

// GPT-2 writes a byte that is printable in Latin-1 as that letter; the others, in their order, as
// the letters from U+0100 on (encoder.py, bytes_to_unicode).
constexpr size_t kLetters = 256 + 68;
constexpr std::array<int16_t, kLetters> kByteOfLetter = [] {
  std::array<int16_t, kLetters> bytes = {};
  for (int16_t& byte : bytes) byte = -1;
  size_t next = 256;
  for (int16_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[printable ? static_cast<size_t>(byte) : next++] = byte;
  }
  return bytes;
}();

// Nothing if a character stands for no byte. Letters take one or two bytes in UTF-8.
std::optional<std::string> BytesOf(std::string_view letters) {
  std::string bytes;
  for (size_t i = 0; i < letters.size(); ++i) {
    size_t letter = static_cast<uint8_t>(letters[i]);
    if (letter >= 0x80) {
      if (letter < 0xC2 || letter >= 0xE0 || i + 1 == letters.size()) return std::nullopt;
      const uint8_t second = static_cast<uint8_t>(letters[++i]);
      if ((second & 0xC0) != 0x80) return std::nullopt;
      letter = (letter & 0x1F) << 6 | (second & 0x3F);
    }
    if (letter >= kLetters || kByteOfLetter[letter] < 0) return std::nullopt;
    bytes += static_cast<char>(kByteOfLetter[letter]);
  }
  return bytes;
}

bool IsControl(const TokenizerData& data, size_t id) {
  return !data.piece_types.empty() && IsControl(data.piece_types[id]);
}

// Whether a token is written in letters.
bool IsText(const TokenizerData& data, size_t id) {
  const bool user_defined =
      !data.piece_types.empty() && data.piece_types[id] == PieceType::kUserDefined;
  return !IsControl(data, id) && !user_defined;
}

// Pieces that merges speak of, by their bytes: the first that is text, else the first user-defined
// one, which some files have where the bytes are a token of the vocabulary's own too.
class PieceIds {
 public:
  explicit PieceIds(const TokenizerData& data) {
    ids_.reserve(data.pieces.size());
    for (size_t i = 0; i < data.pieces.size(); ++i) {
      if (IsText(data, i)) ids_.emplace(data.pieces[i], static_cast<uint32_t>(i));
    }
    for (const AddedToken& added : data.added_tokens) ids_.emplace(data.pieces[added.id], added.id);
  }
  std::optional<uint32_t> Find(std::string_view bytes) const {
    const auto found = ids_.find(bytes);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::unordered_map<std::string_view, uint32_t> ids_;
};

absl::Status ReadMerges(const GgufMetadata& metadata, TokenizerData* data) {
  const absl::StatusOr<std::vector<std::string_view>> merges = metadata.Strings(kMerges);
  if (!merges.ok()) return merges.status();
  if (merges->empty()) return MalformedGgufKey(kMerges, "some merges, found none");
  const PieceIds ids(*data);
  // Ranks, and twice as many slots of the index, have 32 bits in a .tvl file.
  if (merges->size() > INT32_MAX)
    return MalformedGgufKey(kMerges, "at most 2147483647 merges, found ", merges->size());
  data->merges.reserve(merges->size());
  for (size_t i = 0; i < merges->size(); ++i) {
    const std::string_view merge = (*merges)[i];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      return MalformedGgufKey(kMerges, "two tokens with a space between, found ", Quoted(merge),
                              " as merge ", i);
    }
    const std::optional<std::string> left = BytesOf(merge.substr(0, space));
    const std::optional<std::string> right = BytesOf(merge.substr(space + 1));
    const bool letters = left.has_value() && right.has_value();
    const auto left_id = letters ? ids.Find(*left) : std::nullopt;
    const auto right_id = letters ? ids.Find(*right) : std::nullopt;
    const auto result = letters ? ids.Find(absl::StrCat(*left, *right)) : std::nullopt;
    if (!left_id || !right_id || !result) {
      return MalformedGgufKey(kMerges,
                              "two tokens of the vocabulary that together are a third one, found ",
                              Quoted(merge), " as merge ", i);
    }
    data->merges.push_back({*left_id, *right_id, *result});
  }
  return absl::OkStatus();
}

absl::Status ReadPreTokenizer(const GgufMetadata& metadata, TokenizerData* data) {
  const absl::StatusOr<std::string_view> pre = metadata.StringOr(kPre, "default");
  if (!pre.ok()) return pre.status();
  const auto found = std::ranges::find(kPreTokenizers, *pre, &NamedPreTokenizer::name);
  if (found == std::end(kPreTokenizers)) {
    std::vector<std::string> names;
    for (const NamedPreTokenizer& known : kPreTokenizers) names.emplace_back(known.name);
    return MalformedGgufKey(kPre, "a pre-tokenizer that this version knows (",
                            absl::StrJoin(names, ", "), "), found ", Quoted(*pre));
  }
  data->pre_tokenizer = static_cast<uint32_t>(found->number);
  data->flags |= found->flags;
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGgufByteLevel(const GgufMetadata& metadata, TokenizerData* data) {
  for (size_t i = 0; i < data->pieces.size(); ++i) {
    if (!IsText(*data, i)) continue;
    if (std::optional<std::string> bytes = BytesOf(data->pieces[i]))
      data->pieces[i] = *std::move(bytes);
  }
  if (absl::Status s = ReadMerges(metadata, data); !s.ok()) return s;
  return ReadPreTokenizer(metadata, data);
}

absl::Status CheckGgufBytes(const TokenizerData& data) {
  if (data.unk_id >= 0) return absl::OkStatus();
  // Of equal pieces the first is found.
  enum { kNone, kText, kControl };
  std::array<int, 256> found = {};
  for (size_t i = 0; i < data.pieces.size(); ++i) {
    if (data.pieces[i].size() != 1) continue;
    int& byte = found[static_cast<uint8_t>(data.pieces[i][0])];
    if (byte == kNone) byte = IsControl(data, i) ? kControl : kText;
  }
  for (size_t byte = 0; byte < found.size(); ++byte) {
    if (found[byte] == kText) continue;
    return MalformedGgufKey(kTokens,
                            "a token for every byte, or tokenizer.ggml.unknown_token_id, found ",
                            found[byte] == kNone ? "none" : "a control token", " for byte ", byte);
  }
  return absl::OkStatus();
}

}  // namespace tvl
