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
#include <unordered_set>
#include <utility>
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

// What llama.cpp makes of tokenizer.ggml.pre (src/llama-vocab.cpp of version 0.5.0). Not here are
// those of encoders and of models whose architecture no importer knows: chameleon, gemma4,
// granite-embed-*, jais-2, jina-v1-en, jina-v2-code, roberta-bpe, sarvam-moe and whitespace.
struct NamedPreTokenizer {
  std::string_view name;
  PreTokenizer number;
  uint32_t flags = 0;
};
constexpr NamedPreTokenizer kPreTokenizers[] = {
    {"a.x-4.0", PreTokenizer::kGpt2},
    {"afmoe", PreTokenizer::kAfmoe},
    {"bailingmoe", PreTokenizer::kBailing},
    {"bailingmoe2", PreTokenizer::kBailing},
    {"bloom", PreTokenizer::kBloom},
    {"chatglm-bpe", PreTokenizer::kLlama3},
    {"codeshell", PreTokenizer::kStarCoder},
    {"cohere2moe", PreTokenizer::kTinyAya},
    {"command-r", PreTokenizer::kStarCoder},
    {"dbrx", PreTokenizer::kLlama3},
    {"deepseek-coder", PreTokenizer::kDeepSeekCoder},
    {"deepseek-llm", PreTokenizer::kDeepSeekLlm},
    {"deepseek-r1-qwen", PreTokenizer::kQwen2},
    {"deepseek-v3", PreTokenizer::kDeepSeek3},
    {"default", PreTokenizer::kDefault},
    {"exaone", PreTokenizer::kStarCoder},
    {"exaone-moe", PreTokenizer::kExaoneMoe},
    {"exaone4", PreTokenizer::kGpt2},
    {"f2llmv2", PreTokenizer::kQwen2},
    {"falcon", PreTokenizer::kFalcon},
    {"falcon-h1", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"falcon3", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"gigachat", PreTokenizer::kGpt2},
    {"glm4", PreTokenizer::kLlama3},
    {"gpt-2", PreTokenizer::kGpt2},
    {"gpt-4o", PreTokenizer::kGpt4o},
    {"gpt3-finnish", PreTokenizer::kBloom},
    {"granite-docling", PreTokenizer::kGpt2},
    {"grok-2", PreTokenizer::kQwen2},
    {"hunyuan", PreTokenizer::kQwen2},
    {"hunyuan-dense", PreTokenizer::kDeepSeek3},
    {"hy_v4", PreTokenizer::kDeepSeek3},
    {"jais", PreTokenizer::kGpt2},
    {"jina-de", PreTokenizer::kGpt2},
    {"jina-es", PreTokenizer::kGpt2},
    {"jina-v2-de", PreTokenizer::kGpt2},
    {"jina-v2-es", PreTokenizer::kGpt2},
    {"jina-v5-nano", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"joyai-llm", PreTokenizer::kDeepSeek3},
    {"kanana2", PreTokenizer::kGpt4o},
    {"kimi-k2", PreTokenizer::kKimiK2},
    {"kormo", PreTokenizer::kQwen2},
    {"laguna", PreTokenizer::kLaguna},
    {"lfm2", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llada-moe", PreTokenizer::kBailing},
    {"llama-bpe", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama-v3", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama3", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"llama4", PreTokenizer::kGpt4o},
    {"megrez", PreTokenizer::kQwen2},
    {"mellum", PreTokenizer::kGpt2},
    {"mellum2", PreTokenizer::kStarCoder},
    {"midm-2.0", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"minerva-7b", PreTokenizer::kStarCoder},
    {"minicpm5", PreTokenizer::kMiniCpm5, kTokenizerWholePieceFirst},
    {"minimax-m2", PreTokenizer::kGpt4o},
    {"modern-bert", PreTokenizer::kGpt2},
    {"mpt", PreTokenizer::kGpt2},
    {"olmo", PreTokenizer::kGpt2},
    {"phi-2", PreTokenizer::kGpt2},
    {"pixtral", PreTokenizer::kLlama3, kBosAndWholePieces},
    {"poro-chat", PreTokenizer::kBloom},
    {"qwen2", PreTokenizer::kQwen2},
    {"qwen35", PreTokenizer::kQwen35},
    {"refact", PreTokenizer::kStarCoder},
    {"seed-coder", PreTokenizer::kSeedCoder},
    {"smaug-bpe", PreTokenizer::kLlama3},
    {"smollm", PreTokenizer::kStarCoder},
    {"solar-open", PreTokenizer::kQwen2},
    {"spark2_5", PreTokenizer::kSpark},
    {"stablelm2", PreTokenizer::kQwen2},
    {"starcoder", PreTokenizer::kStarCoder},
    {"superbpe", PreTokenizer::kSuperBpe},
    {"talkie", PreTokenizer::kGpt4o},
    {"tekken", PreTokenizer::kTekken, kBosAndWholePieces},
    {"tiny_aya", PreTokenizer::kTinyAya},
    {"trillion", PreTokenizer::kGpt2},
    {"ufakzeka", PreTokenizer::kUfakzeka},
    {"viking", PreTokenizer::kViking},
    {"youtu", PreTokenizer::kYoutu, kTokenizerWholePieceFirst},
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

// What merges call texts, by their bytes: tokens' ids; beyond the vocabulary, numbers of the other
// bytes, and of what merges make on their way.
class TextNumbers {
 public:
  // `pieces` are bytes by now, but for those that are text as it is.
  explicit TextNumbers(const TokenizerData& data) : next_(data.pieces.size() + kBytes) {
    tokens_.reserve(data.pieces.size());
    for (size_t byte = 0; byte < kBytes; ++byte)
      tokens_.emplace(std::string(1, static_cast<char>(byte)), data.pieces.size() + byte);
    for (size_t i = 0; i < data.pieces.size(); ++i) {
      if (IsMergedText(data.piece_types[i])) Add(data.pieces[i], i, data.pieces.size());
    }
    // Where nothing else has these letters, merges may make a user-defined token. A single byte is
    // not one, since that is looked up before.
    for (const AddedToken& added : data.added_tokens) {
      const std::optional<std::string> bytes = BytesOf(data.pieces[added.id]);
      if (bytes && bytes->size() > 1) tokens_.emplace(*bytes, added.id);
    }
    for (size_t i = 0; i < data.pieces.size(); ++i) {
      if (!IsControl(data.piece_types[i])) continue;
      const std::optional<std::string> bytes = BytesOf(data.pieces[i]);
      if (bytes && bytes->size() > 1 && !tokens_.contains(*bytes)) control_.insert(*bytes);
    }
  }
  bool IsToken(const std::string& bytes) const { return tokens_.contains(bytes); }
  bool IsControlToken(const std::string& bytes) const { return control_.contains(bytes); }
  uint64_t Of(const std::string& bytes) {
    const auto [at, added] = tokens_.emplace(bytes, next_);
    if (added) ++next_;
    return at->second;
  }
  uint64_t end() const { return next_; }

 private:
  static constexpr size_t kBytes = 256;

  // The first of equal pieces counts, and before the number that every byte has.
  void Add(const std::string& piece, uint64_t id, uint64_t vocab_size) {
    const auto [at, added] = tokens_.emplace(piece, id);
    if (!added && at->second >= vocab_size) at->second = id;
  }

  std::unordered_map<std::string, uint64_t> tokens_;
  std::unordered_set<std::string> control_;
  uint64_t next_;
};

struct TextMerge {
  std::string left, right;
};
// Nothing where the line can be none: no two texts of letters with a space between.
std::optional<TextMerge> ParseMerge(std::string_view line) {
  const size_t space = line.find(' ', 1);
  if (space == std::string_view::npos) return std::nullopt;
  std::optional<std::string> left = BytesOf(line.substr(0, space));
  std::optional<std::string> right = BytesOf(line.substr(space + 1));
  if (!left || !right || left->empty() || right->empty()) return std::nullopt;
  return TextMerge{*std::move(left), *std::move(right)};
}

absl::Status ReadMerges(const GgufMetadata& metadata, TokenizerData* data,
                        std::vector<std::string>* notes) {
  const absl::StatusOr<std::vector<std::string_view>> lines = metadata.Strings(kMerges);
  if (!lines.ok()) return lines.status();
  std::vector<TextMerge> merges;
  merges.reserve(lines->size());
  std::unordered_set<std::string> results;
  for (const std::string_view line : *lines) {
    if (std::optional<TextMerge> merge = ParseMerge(line)) {
      results.insert(merge->left + merge->right);
      merges.push_back(*std::move(merge));
    }
  }
  TextNumbers numbers(*data);
  const auto comes_about = [&](const std::string& text) {
    return !numbers.IsControlToken(text) && (numbers.IsToken(text) || results.contains(text));
  };
  size_t falling_apart = 0;
  for (const auto& [left, right] : merges) {
    const std::string result = left + right;
    if (!comes_about(left) || !comes_about(right) || !comes_about(result)) continue;
    const uint64_t number = numbers.Of(result);
    if (number >= data->pieces.size()) ++falling_apart;
    data->merges.push_back({static_cast<uint32_t>(numbers.Of(left)),
                            static_cast<uint32_t>(numbers.Of(right)),
                            static_cast<uint32_t>(number)});
  }
  // Numbers, ranks, and twice as many slots of the index have 32 bits in a .tvl file.
  if (numbers.end() > INT32_MAX || merges.size() > INT32_MAX)
    return MalformedGgufKey(kMerges, "at most 2147483647 merges, found ", merges.size());
  const auto note = [&](size_t count, const char* what) {
    if (count == 0 || notes == nullptr) return;
    notes->push_back(
        absl::StrCat("metadata key ", kMerges, ": ", count, " of ", lines->size(), what));
  };
  note(lines->size() - data->merges.size(),
       " are no merges of texts that come about, or are of control tokens, and were left out");
  note(falling_apart, " make a text that is no token; it is split into single letters again");
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

absl::Status ReadGgufByteLevel(const GgufMetadata& metadata, TokenizerData* data,
                               std::vector<std::string>* notes) {
  std::array<bool, 256> has_token = {};
  for (size_t i = 0; i < data->pieces.size(); ++i) {
    if (!IsMergedText(data->piece_types[i])) continue;
    if (std::optional<std::string> bytes = BytesOf(data->pieces[i])) {
      if (bytes->size() == 1) has_token[static_cast<uint8_t>(bytes->front())] = true;
      data->pieces[i] = *std::move(bytes);
    } else {
      data->piece_types[i] = PieceType::kUserDefined;
    }
  }
  if (const auto lacking = std::ranges::count(has_token, false); lacking > 0 && notes != nullptr) {
    notes->push_back(
        absl::StrCat("metadata key ", kTokens, ": ", lacking,
                     " of the 256 bytes have no token; such a byte in a text is dropped"));
  }
  if (absl::Status s = ReadMerges(metadata, data, notes); !s.ok()) return s;
  return ReadPreTokenizer(metadata, data);
}

}  // namespace tvl
