#include "models/import/gguf_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/quoted.h"
#include "models/import/gguf_byte_level.h"
#include "models/import/gguf_special_tokens.h"
#include "models/tokenizer/sentence_piece_codec.h"

namespace tvl {
namespace {

constexpr char kModel[] = "tokenizer.ggml.model";
constexpr char kTokens[] = "tokenizer.ggml.tokens";
constexpr char kScoresKey[] = "tokenizer.ggml.scores";
constexpr char kTokenType[] = "tokenizer.ggml.token_type";
constexpr char kSpace[] = "\xE2\x96\x81";  // U+2581, SentencePiece's space

absl::StatusOr<TokenizerKind> ReadKind(const GgufMetadata& metadata) {
  const absl::StatusOr<std::string_view> model = metadata.String(kModel);
  if (!model.ok()) return model.status();
  if (*model == "llama") return TokenizerKind::kSentencePieceBpe;
  if (*model == "gpt2") return TokenizerKind::kByteLevelBpe;
  return MalformedGgufKey(kModel,
                          "llama (SentencePiece) or gpt2 (byte-level BPE), which are all that this "
                          "version can convert, found ",
                          Quoted(*model));
}

absl::Status CheckCount(const char* key, size_t found, uint32_t vocab_size) {
  if (found == vocab_size) return absl::OkStatus();
  return MalformedGgufKey(key, "as many as the model's vocabulary has, ", vocab_size, ", found ",
                          found);
}

absl::Status ReadPieces(const GgufMetadata& metadata, uint32_t vocab_size, TokenizerData* data) {
  const absl::StatusOr<std::vector<std::string_view>> tokens = metadata.Strings(kTokens);
  if (!tokens.ok()) return tokens.status();
  if (tokens->empty()) return MalformedGgufKey(kTokens, "at least one token, found none");
  if (absl::Status s = CheckCount(kTokens, tokens->size(), vocab_size); !s.ok()) return s;
  uint64_t bytes = 0;
  for (const std::string_view token : *tokens) bytes += token.size();
  // Keeps the offsets of pieces within the 32 bits they have in a .tvl file.
  if (bytes > UINT32_MAX)
    return MalformedGgufKey(kTokens, "at most 4294967295 bytes, found ", bytes);
  data->pieces.assign(tokens->begin(), tokens->end());
  return absl::OkStatus();
}

// Without the key all tokens are normal, but for what ids and names say.
absl::Status ReadTypes(const GgufMetadata& metadata, uint32_t vocab_size, TokenizerData* data) {
  const bool sentence_piece = data->kind == TokenizerKind::kSentencePieceBpe;
  data->piece_types.assign(vocab_size, PieceType::kNormal);
  if (!metadata.Has(kTokenType)) return absl::OkStatus();
  const absl::StatusOr<std::vector<int64_t>> types = metadata.Integers(kTokenType);
  if (!types.ok()) return types.status();
  if (absl::Status s = CheckCount(kTokenType, types->size(), vocab_size); !s.ok()) return s;
  for (size_t i = 0; i < types->size(); ++i) {
    const int64_t type = (*types)[i];
    if (type < 0 || type > static_cast<int64_t>(PieceType::kByte)) {
      return MalformedGgufKey(kTokenType, "numbers from 0 to 6, found ", type, " for token ", i);
    }
    // 0 is "undefined": a token of no type in particular is a normal one.
    if (type > 0) data->piece_types[i] = static_cast<PieceType>(type);
    // What is found in the text as a whole is spelt as it is there. A token that is spelt with
    // U+2581, as files from before July 2024 have them, is one that merges make.
    if (sentence_piece && data->piece_types[i] == PieceType::kUserDefined &&
        data->pieces[i].find(kSpace) != std::string::npos)
      data->piece_types[i] = PieceType::kNormal;
  }
  return absl::OkStatus();
}

// Phi-3's tokenizer takes the white space behind all but three of its special tokens along. No key
// says so: llama.cpp goes by the model's name too.
bool SpecialTokensStripRight(const GgufMetadata& metadata) {
  const absl::StatusOr<std::string_view> text = metadata.StringOr("general.name", "");
  if (!text.ok()) return false;
  const std::string name = absl::AsciiStrToLower(std::string(*text));
  return name.find("phi-3") != name.npos || name.find("phi3") != name.npos;
}

// User-defined tokens, and control tokens whose flags say more than their type.
void ListAddedTokens(const GgufMetadata& metadata, TokenizerData* data) {
  constexpr std::string_view kNotStripping[] = {"<unk>", "<s>", "<|endoftext|>"};
  const bool strip = SpecialTokensStripRight(metadata);
  for (size_t i = 0; i < data->pieces.size(); ++i) {
    const PieceType type = data->piece_types[i];
    const std::string& text = data->pieces[i];
    const bool strips = strip && std::ranges::find(kNotStripping, text) == std::end(kNotStripping);
    if (text.empty() || !(type == PieceType::kUserDefined || (IsControl(type) && strips))) continue;
    data->added_tokens.push_back(
        {.id = static_cast<uint32_t>(i), .flags = strips ? kAddedTokenStripRight : 0});
  }
}

// Changes the answer, and is not done here.
void NoteSuppressedTokens(const GgufMetadata& metadata, std::vector<std::string>* notes) {
  constexpr char kSuppressed[] = "tokenizer.ggml.suppress_tokens";
  const GgufValue* value = metadata.Find(kSuppressed);
  if (value == nullptr || value->count == 0 || notes == nullptr) return;
  notes->push_back(absl::StrCat("metadata key ", kSuppressed, ": the file asks that ", value->count,
                                value->count == 1 ? " token" : " tokens",
                                " never be drawn, which tvl does not do"));
}

// Gives the first piece of each byte's name the type of a byte, by which it is found. Returns how
// many bytes have one.
size_t FindBytePieces(TokenizerData* data) {
  std::map<std::string, size_t> first;
  for (int byte = 0; byte < 256; ++byte)
    first[BytePieceName(static_cast<uint8_t>(byte))] = data->pieces.size();
  size_t count = 0;
  for (size_t i = 0; i < data->pieces.size() && count < first.size(); ++i) {
    const auto name = first.find(data->pieces[i]);
    if (name == first.end() || name->second < data->pieces.size()) continue;
    name->second = i;
    data->piece_types[i] = PieceType::kByte;
    ++count;
  }
  return count;
}

// Numbers of any type; without the key all pieces are equal.
absl::Status ReadScores(const GgufMetadata& metadata, TokenizerData* data) {
  const uint32_t vocab_size = static_cast<uint32_t>(data->pieces.size());
  data->scores.assign(vocab_size, 0);
  if (!metadata.Has(kScoresKey)) return absl::OkStatus();
  absl::StatusOr<std::vector<float>> scores = metadata.F32s(kScoresKey);
  if (const auto integers = metadata.Integers(kScoresKey); !scores.ok() && integers.ok())
    scores = std::vector<float>(integers->begin(), integers->end());
  if (!scores.ok()) return scores.status();
  if (absl::Status s = CheckCount(kScoresKey, scores->size(), vocab_size); !s.ok()) return s;
  const auto nan = std::ranges::find_if(*scores, [](float score) { return std::isnan(score); });
  if (nan != scores->end()) {
    return MalformedGgufKey(kScoresKey, "numbers, found NaN for token ", nan - scores->begin());
  }
  data->scores = *std::move(scores);
  return absl::OkStatus();
}

// Scores, bytes and spaces. A control token's text is what stands in a prompt, U+2581 included.
absl::Status ReadSentencePiece(const GgufMetadata& metadata, TokenizerData* data,
                               std::vector<std::string>* notes) {
  if (absl::Status s = ReadScores(metadata, data); !s.ok()) return s;
  const size_t bytes = FindBytePieces(data);
  if (bytes > 0) data->flags |= kTokenizerByteFallback;
  if (bytes > 0 && bytes < 256 && notes != nullptr) {
    notes->push_back(absl::StrCat("metadata key ", kTokens, ": ", 256 - bytes,
                                  " of the 256 bytes have no token; such a byte in a text is "
                                  "dropped"));
  }
  ListAddedTokens(metadata, data);
  for (size_t i = 0; i < data->pieces.size(); ++i) {
    if (IsControl(data->piece_types[i])) continue;
    // No text becomes what is spelt with a space, unless it is found as a whole: it must not hide
    // the piece that is spelt with U+2581.
    if (IsMergedText(data->piece_types[i]) && data->pieces[i].find(' ') != std::string::npos)
      data->piece_types[i] = PieceType::kUserDefined;
    absl::StrReplaceAll({{kSpace, " "}}, &data->pieces[i]);
  }
  return absl::OkStatus();
}

// With llama.cpp's defaults; byte-level BPE's have been set by its pre-tokenizer.
absl::Status ReadFlags(const GgufMetadata& metadata, TokenizerData* data) {
  const bool sentence_piece = data->kind == TokenizerKind::kSentencePieceBpe;
  const struct {
    const char* key;
    bool fallback;
    uint32_t flag;
  } flags[] = {
      {"tokenizer.ggml.add_space_prefix", true, sentence_piece ? kTokenizerDummyPrefix : 0},
      {"tokenizer.ggml.add_bos_token", sentence_piece || (data->flags & kTokenizerAddBos) != 0,
       kTokenizerAddBos},
      {"tokenizer.ggml.add_eos_token", false, kTokenizerAddEos}};
  for (const auto& rule : flags) {
    const absl::StatusOr<bool> set = metadata.BoolOr(rule.key, rule.fallback);
    if (!set.ok()) return set.status();
    data->flags = *set ? data->flags | rule.flag : data->flags & ~rule.flag;
  }
  return absl::OkStatus();
}

absl::Status ReadChatTemplate(const GgufMetadata& metadata, TokenizerData* data) {
  const absl::StatusOr<std::string_view> chat = metadata.StringOr("tokenizer.chat_template", "");
  if (!chat.ok()) return chat.status();
  data->chat_template = std::string(*chat);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerData> ImportGgufTokenizer(const GgufMetadata& metadata, uint32_t vocab_size,
                                                  std::vector<std::string>* notes) {
  const absl::StatusOr<TokenizerKind> kind = ReadKind(metadata);
  if (!kind.ok()) return kind.status();
  TokenizerData data;
  data.kind = *kind;
  if (absl::Status s = ReadPieces(metadata, vocab_size, &data); !s.ok()) return s;
  if (absl::Status s = ReadTypes(metadata, vocab_size, &data); !s.ok()) return s;
  if (absl::Status s = ReadChatTemplate(metadata, &data); !s.ok()) return s;
  // While the pieces are as the file spells them.
  if (absl::Status s = ReadGgufSpecialTokens(metadata, &data, notes); !s.ok()) return s;
  if (data.kind == TokenizerKind::kSentencePieceBpe) {
    if (absl::Status s = ReadSentencePiece(metadata, &data, notes); !s.ok()) return s;
  } else {
    ListAddedTokens(metadata, &data);
    if (absl::Status s = ReadGgufByteLevel(metadata, &data, notes); !s.ok()) return s;
  }
  if (absl::Status s = ReadFlags(metadata, &data); !s.ok()) return s;
  NoteSuppressedTokens(metadata, notes);
  return data;
}

}  // namespace tvl
