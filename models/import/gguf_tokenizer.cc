#include "models/import/gguf_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/quoted.h"
#include "core/token.h"
#include "models/import/gguf_byte_level.h"
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

absl::Status ReadTypes(const GgufMetadata& metadata, uint32_t vocab_size, TokenizerData* data) {
  // Byte-level BPE does without: all tokens are normal then.
  if (data->kind == TokenizerKind::kByteLevelBpe && !metadata.Has(kTokenType))
    return absl::OkStatus();
  const absl::StatusOr<std::vector<int64_t>> types = metadata.Integers(kTokenType);
  if (!types.ok()) return types.status();
  if (absl::Status s = CheckCount(kTokenType, types->size(), vocab_size); !s.ok()) return s;
  for (size_t i = 0; i < types->size(); ++i) {
    const int64_t type = (*types)[i];
    if (type < static_cast<int64_t>(PieceType::kNormal) ||
        type > static_cast<int64_t>(PieceType::kByte)) {
      return MalformedGgufKey(kTokenType, "numbers from 1 to 6, found ", type, " for token ", i);
    }
    data->piece_types.push_back(static_cast<PieceType>(type));
    if (data->piece_types.back() == PieceType::kUserDefined && !data->pieces[i].empty())
      data->added_tokens.push_back({.id = static_cast<uint32_t>(i), .flags = 0});
  }
  return absl::OkStatus();
}

// Whether there is a piece for every byte: the first piece of its name, which is the one that is
// found by it.
bool HasBytePieces(const TokenizerData& data) {
  std::map<std::string, bool> found;
  for (int byte = 0; byte < 256; ++byte) found[BytePieceName(static_cast<uint8_t>(byte))] = false;
  size_t count = 0;
  for (size_t i = 0; i < data.pieces.size() && count < found.size(); ++i) {
    const auto name = found.find(data.pieces[i]);
    if (name == found.end() || name->second) continue;
    if (data.piece_types[i] != PieceType::kByte) return false;
    name->second = true;
    ++count;
  }
  return count == found.size();
}

// Scores and spaces. A control token's text is what stands in a prompt, U+2581 included.
absl::Status ReadSentencePiece(const GgufMetadata& metadata, TokenizerData* data) {
  absl::StatusOr<std::vector<float>> scores = metadata.F32s(kScoresKey);
  if (!scores.ok()) return scores.status();
  const uint32_t vocab_size = static_cast<uint32_t>(data->pieces.size());
  if (absl::Status s = CheckCount(kScoresKey, scores->size(), vocab_size); !s.ok()) return s;
  const auto nan = std::ranges::find_if(*scores, [](float score) { return std::isnan(score); });
  if (nan != scores->end()) {
    return MalformedGgufKey(kScoresKey, "numbers, found NaN for token ", nan - scores->begin());
  }
  data->scores = *std::move(scores);
  for (size_t i = 0; i < data->pieces.size(); ++i) {
    if (!IsControl(data->piece_types[i])) absl::StrReplaceAll({{kSpace, " "}}, &data->pieces[i]);
  }
  if (HasBytePieces(*data)) data->flags |= kTokenizerByteFallback;
  return absl::OkStatus();
}

// The id at `key`; -1 where there is no such key.
absl::StatusOr<TokenId> ReadId(const GgufMetadata& metadata, const char* key, uint32_t vocab_size) {
  if (!metadata.Has(key)) return -1;
  const absl::StatusOr<uint32_t> id = metadata.U32(key);
  if (!id.ok()) return id.status();
  // "None" in some files.
  if (*id == UINT32_MAX) return -1;
  if (*id < vocab_size) return static_cast<TokenId>(*id);
  return MalformedGgufKey(key, "a token from 0 to ", vocab_size - 1, ", found ", *id);
}

void AddEnd(TokenId id, TokenizerData* data) {
  if (id >= 0 && std::ranges::find(data->end_tokens, id) == data->end_tokens.end())
    data->end_tokens.push_back(id);
}

// Models end their turns with tokens that their files do not name as ends; llama.cpp knows these.
void AddEndsByText(TokenizerData* data) {
  constexpr std::string_view kDeepSeekEnd =
      "<\xEF\xBD\x9C"
      "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>";
  constexpr std::string_view kEnds[] = {
      "<|eot_id|>",         "<|im_end|>", "<|return|>", "<|call|>", "<end_of_turn>",
      "<|endoftext|>",      "<|eom_id|>", "<EOT>",      "_<EOT>",   "<|end_of_text|>",
      "<end_of_utterance>", kDeepSeekEnd, "<|end|>"};
  std::map<std::string_view, TokenId> found;
  for (size_t i = 0; i < data->piece_types.size(); ++i) {
    if (IsControl(data->piece_types[i]) &&
        std::ranges::find(kEnds, data->pieces[i]) != std::end(kEnds))
      found.emplace(data->pieces[i], static_cast<TokenId>(i));
  }
  // Where turns end by these two, <|end|> ends but a message of several in one.
  if (found.contains("<|return|>") && found.contains("<|call|>")) found.erase("<|end|>");
  for (const auto& [text, id] : found) AddEnd(id, data);
}

absl::Status ReadIds(const GgufMetadata& metadata, uint32_t vocab_size, TokenizerData* data) {
  TokenId eot = -1, eom = -1;
  const struct {
    const char* key;
    TokenId* id;
  } ids[] = {{"tokenizer.ggml.bos_token_id", &data->bos_id},
             {"tokenizer.ggml.eos_token_id", &data->eos_id},
             {"tokenizer.ggml.unknown_token_id", &data->unk_id},
             {"tokenizer.ggml.padding_token_id", &data->pad_id},
             {"tokenizer.ggml.eot_token_id", &eot},
             {"tokenizer.ggml.eom_token_id", &eom}};
  for (const auto& named : ids) {
    const absl::StatusOr<TokenId> id = ReadId(metadata, named.key, vocab_size);
    if (!id.ok()) return id.status();
    *named.id = *id;
  }
  for (const TokenId end : {data->eos_id, eot, eom}) AddEnd(end, data);
  AddEndsByText(data);
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
  const absl::StatusOr<std::string_view> chat = metadata.StringOr("tokenizer.chat_template", "");
  if (!chat.ok()) return chat.status();
  data->chat_template = std::string(*chat);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerData> ImportGgufTokenizer(const GgufMetadata& metadata,
                                                  uint32_t vocab_size) {
  const absl::StatusOr<TokenizerKind> kind = ReadKind(metadata);
  if (!kind.ok()) return kind.status();
  TokenizerData data;
  data.kind = *kind;
  if (absl::Status s = ReadPieces(metadata, vocab_size, &data); !s.ok()) return s;
  if (absl::Status s = ReadTypes(metadata, vocab_size, &data); !s.ok()) return s;
  const absl::Status pieces = data.kind == TokenizerKind::kSentencePieceBpe
                                  ? ReadSentencePiece(metadata, &data)
                                  : ReadGgufByteLevel(metadata, &data);
  if (!pieces.ok()) return pieces;
  if (absl::Status s = ReadIds(metadata, vocab_size, &data); !s.ok()) return s;
  if (absl::Status s = ReadFlags(metadata, &data); !s.ok()) return s;
  if (data.kind == TokenizerKind::kByteLevelBpe) {
    if (absl::Status s = CheckGgufBytes(data); !s.ok()) return s;
  }
  return data;
}

}  // namespace tvl
