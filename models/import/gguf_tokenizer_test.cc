#include "models/import/gguf_tokenizer.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

// Metadata and the bytes it is a view of.
class Metadata {
 public:
  void Set(const std::string& key, std::string_view text) {
    values_[Key(key)] = {GgufValueType::kString, Keep(text), {}, 0};
  }
  void Set(const std::string& key, uint32_t number) {
    values_[Key(key)] = {GgufValueType::kU32, Keep(Bytes(number)), {}, 0};
  }
  void Set(const std::string& key, bool flag) {
    values_[Key(key)] = {GgufValueType::kBool, Keep(std::string(1, flag ? 1 : 0)), {}, 0};
  }
  void Set(const std::string& key, const std::vector<std::string>& texts) {
    std::string bytes;
    for (const std::string& text : texts) bytes += Bytes(uint64_t{text.size()}) + text;
    values_[Key(key)] = {GgufValueType::kArray, Keep(bytes), GgufValueType::kString, texts.size()};
  }
  void Set(const std::string& key, const std::vector<uint32_t>& numbers) {
    std::string bytes;
    for (const uint32_t number : numbers) bytes += Bytes(number);
    values_[Key(key)] = {GgufValueType::kArray, Keep(bytes), GgufValueType::kU32, numbers.size()};
  }
  void Set(const std::string& key, const std::vector<float>& numbers) {
    std::string bytes;
    for (const float number : numbers) bytes += Bytes(number);
    values_[Key(key)] = {GgufValueType::kArray, Keep(bytes), GgufValueType::kF32, numbers.size()};
  }
  void Drop(const std::string& key) { values_.erase(Key(key)); }

  absl::StatusOr<TokenizerData> Import(uint32_t vocab_size) const {
    GgufMetadata metadata;
    for (const auto& [key, value] : values_) metadata.Add(key, value);
    return ImportGgufTokenizer(metadata, vocab_size, nullptr);
  }

 private:
  static std::string Key(const std::string& key) { return absl::StrCat("tokenizer.ggml.", key); }
  template <typename T>
  static std::string Bytes(T value) {
    std::string bytes(sizeof(value), '\0');
    std::memcpy(bytes.data(), &value, sizeof(value));
    return bytes;
  }
  std::span<const std::byte> Keep(std::string_view bytes) {
    return std::as_bytes(std::span<const char>(kept_.emplace_back(bytes)));
  }

  std::deque<std::string> kept_;
  std::map<std::string, GgufValue> values_;
};

// 0 to 4: a, b, G-with-dot (a space), ab, _ab; then the tokens of other types.
Metadata ByteLevel() {
  Metadata metadata;
  metadata.Set("model", std::string_view("gpt2"));
  metadata.Set("pre", std::string_view("gpt-2"));
  metadata.Set("tokens",
               std::vector<std::string>{"a", "b", "\xC4\xA0", "ab",
                                        "\xC4\xA0"
                                        "ab",
                                        "<|im_end|>", "\xC4\xA0", "\xE2\x96\x81x", "<unk>"});
  metadata.Set("token_type", std::vector<uint32_t>{1, 1, 1, 1, 1, 3, 4, 1, 2});
  metadata.Set("merges", std::vector<std::string>{"a b", "\xC4\xA0 ab"});
  metadata.Set("unknown_token_id", 8u);
  return metadata;
}
constexpr uint32_t kByteLevelTokens = 9;

TEST(GgufTokenizerTest, ByteLevelPiecesAreTheirBytes) {
  const absl::StatusOr<TokenizerData> data = ByteLevel().Import(kByteLevelTokens);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->kind, TokenizerKind::kByteLevelBpe);
  EXPECT_EQ(data->pieces, std::vector<std::string>({"a", "b", " ", "ab", " ab", "<|im_end|>",
                                                    "\xC4\xA0", "\xE2\x96\x81x", "<unk>"}))
      << "text where types say so, and where a letter is none of GPT-2's";
  EXPECT_EQ(data->merges, std::vector<TokenizerMerge>({{0, 1, 3}, {2, 3, 4}}));
  EXPECT_EQ(data->added_tokens, std::vector<AddedToken>({{6, 0}}));
  EXPECT_EQ(data->end_tokens, std::vector<TokenId>({5})) << "by its text";
  EXPECT_EQ(data->pre_tokenizer, static_cast<uint32_t>(PreTokenizer::kGpt2));
  EXPECT_EQ(data->flags, 0u);
  EXPECT_TRUE(data->scores.empty());
  EXPECT_EQ(data->bos_id, -1);
}

TEST(GgufTokenizerTest, EveryByteHasItsLetter) {
  // The letters of the bytes 0x00, 0x20, 0x7F, 0xA0, 0xAD, and of two that are printable.
  Metadata metadata = ByteLevel();
  metadata.Set("tokens", std::vector<std::string>{"\xC4\x80", "\xC4\xA0", "\xC4\xA1", "\xC5\x82",
                                                  "\xC5\x83", "\xC2\xA1", "\xC3\xBF", "!", "~"});
  metadata.Set("token_type", std::vector<uint32_t>(9, 1));
  metadata.Set("merges", std::vector<std::string>{"\xC4\x80 \xC4\xA0"});
  // Whatever the merges say; they are looked at last.
  EXPECT_FALSE(metadata.Import(9).ok());
  metadata.Set("tokens",
               std::vector<std::string>{"\xC4\x80", "\xC4\xA0", "\xC4\xA1", "\xC5\x82", "\xC5\x83",
                                        "\xC2\xA1", "\xC3\xBF", "!", "\xC4\x80\xC4\xA0"});
  const absl::StatusOr<TokenizerData> data = metadata.Import(9);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->pieces,
            std::vector<std::string>({std::string(1, '\0'), " ", "\x7F", "\xA0", "\xAD", "\xA1",
                                      "\xFF", "!", std::string("\0 ", 2)}));
}

TEST(GgufTokenizerTest, ByteLevelWithoutTypes) {
  Metadata metadata = ByteLevel();
  metadata.Drop("token_type");
  const absl::StatusOr<TokenizerData> data = metadata.Import(kByteLevelTokens);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_TRUE(data->piece_types.empty());
  EXPECT_TRUE(data->added_tokens.empty());
  EXPECT_TRUE(data->end_tokens.empty());
}

TEST(GgufTokenizerTest, PreTokenizersByName) {
  const struct {
    const char* name;
    PreTokenizer number;
    uint32_t flags;
  } cases[] = {
      {"default", PreTokenizer::kDefault, 0},
      {"llama-bpe", PreTokenizer::kLlama3, kTokenizerAddBos | kTokenizerWholePieceFirst},
      {"smaug-bpe", PreTokenizer::kLlama3, 0},
      {"qwen2", PreTokenizer::kQwen2, 0},
      {"deepseek-r1-qwen", PreTokenizer::kQwen2, 0},
      {"smollm", PreTokenizer::kStarCoder, 0},
      {"starcoder", PreTokenizer::kStarCoder, 0},
      {"refact", PreTokenizer::kStarCoder, 0},
      {"deepseek-llm", PreTokenizer::kDeepSeekLlm, 0},
      {"deepseek-coder", PreTokenizer::kDeepSeekCoder, 0},
      {"deepseek-v3", PreTokenizer::kDeepSeek3, 0},
      {"falcon", PreTokenizer::kFalcon, 0},
      {"tekken", PreTokenizer::kTekken, kTokenizerAddBos | kTokenizerWholePieceFirst},
      {"llama4", PreTokenizer::kGpt4o, 0},
  };
  for (const auto& expected : cases) {
    Metadata metadata = ByteLevel();
    metadata.Set("pre", std::string_view(expected.name));
    const absl::StatusOr<TokenizerData> data = metadata.Import(kByteLevelTokens);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(data->pre_tokenizer, static_cast<uint32_t>(expected.number)) << expected.name;
    EXPECT_EQ(data->flags, expected.flags) << expected.name;
  }
  Metadata metadata = ByteLevel();
  metadata.Drop("pre");
  EXPECT_EQ(metadata.Import(kByteLevelTokens)->pre_tokenizer,
            static_cast<uint32_t>(PreTokenizer::kDefault));
}

TEST(GgufTokenizerTest, FlagsThatAFileSetsCount) {
  Metadata metadata = ByteLevel();
  metadata.Set("pre", std::string_view("llama-bpe"));
  metadata.Set("add_bos_token", false);
  metadata.Set("add_eos_token", true);
  metadata.Set("add_space_prefix", true);  // byte-level BPE has none
  EXPECT_EQ(metadata.Import(kByteLevelTokens)->flags, kTokenizerWholePieceFirst | kTokenizerAddEos);
}

TEST(GgufTokenizerTest, EndsByText) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokens", std::vector<std::string>{"a", "b", "ab", "<|end|>", "<|return|>",
                                                  "<|eot_id|>", "<|eom_id|>", "<|im_end|>"});
  metadata.Set("token_type", std::vector<uint32_t>{1, 1, 1, 3, 3, 3, 3, 1});
  metadata.Set("merges", std::vector<std::string>{"a b"});
  metadata.Set("eos_token_id", 6u);
  metadata.Set("unknown_token_id", 0u);
  EXPECT_EQ(metadata.Import(8)->end_tokens, std::vector<TokenId>({6, 3, 5, 4}))
      << "control tokens, each once";
  metadata.Set("tokens", std::vector<std::string>{"a", "b", "ab", "<|end|>", "<|return|>",
                                                  "<|call|>", "<|eom_id|>", "<|im_end|>"});
  EXPECT_EQ(metadata.Import(8)->end_tokens, std::vector<TokenId>({6, 5, 4}))
      << "where turns have parts, <|end|> ends one of these";
}

TEST(GgufTokenizerTest, RefusesAnEmptyVocabulary) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokens", std::vector<std::string>{});
  EXPECT_EQ(metadata.Import(0).status().message(),
            "metadata key tokenizer.ggml.tokens: expected at least one token, found none");
}

TEST(GgufTokenizerTest, RefusesMergesThatAreNone) {
  const auto error = [](const std::vector<std::string>& merges) {
    Metadata metadata = ByteLevel();
    metadata.Set("merges", merges);
    return absl::StrCat(metadata.Import(kByteLevelTokens).status().message());
  };
  const std::string key = "metadata key tokenizer.ggml.merges: expected ";
  EXPECT_EQ(error({}), key + "some merges, found none");
  const std::string pair = key + "two tokens with a space between, found ";
  EXPECT_EQ(error({"a b", "ab"}), pair + "'ab' as merge 1");
  EXPECT_EQ(error({""}), pair + "'' as merge 0");
  EXPECT_EQ(error({" "}), pair + "' ' as merge 0");
  EXPECT_EQ(error({"a "}), pair + "'a ' as merge 0");
  EXPECT_EQ(error({" a"}), pair + "' a' as merge 0");
  const std::string third =
      key + "two tokens of the vocabulary that together are a third one, found ";
  EXPECT_EQ(error({"a x"}), third + "'a x' as merge 0");
  EXPECT_EQ(error({"x a"}), third + "'x a' as merge 0");
  EXPECT_EQ(error({"b a"}), third + "'b a' as merge 0");
  EXPECT_EQ(error({"a b b"}), third + "'a b b' as merge 0");
  EXPECT_EQ(error({"a \xFF"}), third + "'a \\xff' as merge 0");
  EXPECT_EQ(error({"a \xC4"}), third + "'a \\xc4' as merge 0");
  Metadata metadata = ByteLevel();
  metadata.Drop("merges");
  EXPECT_EQ(metadata.Import(kByteLevelTokens).status().message(),
            key + "an array of strings, found none");
}

TEST(GgufTokenizerTest, RefusesBytesWithoutTokens) {
  Metadata metadata = ByteLevel();
  metadata.Drop("unknown_token_id");
  const std::string message =
      "metadata key tokenizer.ggml.tokens: expected a token for every byte, or "
      "tokenizer.ggml.unknown_token_id, found ";
  EXPECT_EQ(metadata.Import(kByteLevelTokens).status().message(), message + "none for byte 0");
  metadata.Set("tokens", std::vector<std::string>{"a", "b", "\xC4\xA0", "ab",
                                                  "\xC4\xA0"
                                                  "ab",
                                                  std::string(1, '\0'), "<u>", "x", "<unk>"});
  EXPECT_EQ(metadata.Import(kByteLevelTokens).status().message(),
            message + "a control token for byte 0");
}

TEST(GgufTokenizerTest, RefusesPreTokenizersThatItDoesNotKnow) {
  Metadata metadata = ByteLevel();
  metadata.Set("pre", std::string_view("viking"));
  const std::string message = absl::StrCat(metadata.Import(kByteLevelTokens).status().message());
  EXPECT_TRUE(
      message.starts_with("metadata key tokenizer.ggml.pre: expected a pre-tokenizer that this "
                          "version knows (a.x-4.0, "))
      << message;
  EXPECT_NE(message.find(", llama-bpe, "), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with("), found 'viking'")) << message;
}

// In SentencePiece's vocabularies U+2581 is a space, but not in what a prompt spells out.
TEST(GgufTokenizerTest, SentencePieceSpaces) {
  Metadata metadata;
  metadata.Set("model", std::string_view("llama"));
  metadata.Set("tokens", std::vector<std::string>{"<unk>", "<\xE2\x96\x81>",
                                                  "\xE2\x96\x81"
                                                  "a",
                                                  "\xE2\x96\x81\xE2\x96\x81"});
  metadata.Set("token_type", std::vector<uint32_t>{2, 3, 1, 4});
  metadata.Set("scores", std::vector<float>{0, 0, -1, -2});
  const absl::StatusOr<TokenizerData> data = metadata.Import(4);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->kind, TokenizerKind::kSentencePieceBpe);
  EXPECT_EQ(data->pieces, std::vector<std::string>({"<unk>", "<\xE2\x96\x81>", " a", "  "}));
  EXPECT_EQ(data->flags, kTokenizerDummyPrefix | kTokenizerAddBos);
  EXPECT_TRUE(data->merges.empty());
}

}  // namespace
}  // namespace tvl
