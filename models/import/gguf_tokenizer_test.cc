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
#include "absl/strings/str_format.h"
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
  void Set(const std::string& key, int32_t number) {
    values_[Key(key)] = {GgufValueType::kI32, Keep(Bytes(number)), {}, 0};
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

  absl::StatusOr<TokenizerData> Import(uint32_t vocab_size,
                                       std::vector<std::string>* notes = nullptr) const {
    GgufMetadata metadata;
    for (const auto& [key, value] : values_) metadata.Add(key, value);
    return ImportGgufTokenizer(metadata, vocab_size, notes);
  }
  std::vector<std::string> Notes(uint32_t vocab_size) const {
    std::vector<std::string> notes;
    EXPECT_TRUE(Import(vocab_size, &notes).ok());
    return notes;
  }

 private:
  static std::string Key(const std::string& key) {
    return key == "chat_template" ? "tokenizer." + key : absl::StrCat("tokenizer.ggml.", key);
  }
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
  EXPECT_EQ(data->piece_types[7], PieceType::kUserDefined) << "no text becomes it";
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
  metadata.Set("bos_token_id", 4u);
  const absl::StatusOr<TokenizerData> data = metadata.Import(kByteLevelTokens);
  ASSERT_TRUE(data.ok()) << data.status();
  std::vector<PieceType> types(kByteLevelTokens, PieceType::kNormal);
  types[4] = types[5] = PieceType::kControl;  // BOS, <|im_end|>
  types[7] = PieceType::kUserDefined;         // no letters
  types[8] = PieceType::kUnknown;
  EXPECT_EQ(data->piece_types, types);
  EXPECT_TRUE(data->added_tokens.empty());
  EXPECT_EQ(data->end_tokens, std::vector<TokenId>({5}));
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
      {"minimax-m2", PreTokenizer::kGpt4o, 0},
      {"seed-coder", PreTokenizer::kSeedCoder, 0},
      {"viking", PreTokenizer::kViking, 0},
      {"poro-chat", PreTokenizer::kBloom, 0},
      {"superbpe", PreTokenizer::kSuperBpe, 0},
      {"qwen35", PreTokenizer::kQwen35, 0},
      {"minicpm5", PreTokenizer::kMiniCpm5, kTokenizerWholePieceFirst},
      {"youtu", PreTokenizer::kYoutu, kTokenizerWholePieceFirst},
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
  metadata.Set("token_type", std::vector<uint32_t>{1, 1, 1, 3, 4, 3, 3, 1});
  metadata.Set("merges", std::vector<std::string>{"a b", "<|im_end| >"});
  metadata.Set("eos_token_id", 6u);
  metadata.Set("unknown_token_id", 0u);
  const absl::StatusOr<TokenizerData> data = metadata.Import(8);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->end_tokens, std::vector<TokenId>({6, 3, 4, 5, 7})) << "each once, of any type";
  EXPECT_EQ(data->piece_types[7], PieceType::kControl) << "no text becomes an end";
  EXPECT_EQ(data->piece_types[4], PieceType::kControl);
  EXPECT_TRUE(data->added_tokens.empty());
  EXPECT_EQ(data->merges, std::vector<TokenizerMerge>({{0, 1, 2}}));
  const std::string by_text = "; by its text it was taken for a control token";
  EXPECT_EQ(
      metadata.Notes(8),
      std::vector<std::string>(
          {"metadata key tokenizer.ggml.token_type: token 4, '<|return|>', is of type 4" + by_text,
           "metadata key tokenizer.ggml.token_type: token 7, '<|im_end|>', is of type 1" + by_text,
           "metadata key tokenizer.ggml.tokens: 254 of the 256 bytes have no token; such a "
           "byte in a text is dropped",
           "metadata key tokenizer.ggml.merges: 1 of 2 are no merges of texts that come "
           "about, or are of control tokens, and were left out"}));
}

// What is an end only where others are not.
TEST(GgufTokenizerTest, EndsThatOthersReplace) {
  const auto ends = [](const std::vector<std::string>& texts) {
    Metadata metadata = ByteLevel();
    std::vector<std::string> tokens = {"a", "b", "ab"};
    tokens.insert(tokens.end(), texts.begin(), texts.end());
    metadata.Set("tokens", tokens);
    metadata.Drop("token_type");
    metadata.Drop("unknown_token_id");
    return metadata.Import(static_cast<uint32_t>(tokens.size()))->end_tokens;
  };
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(ends({"<|end|>", "<|return|>", "<|call|>"}), Ids({4, 5})) << "a part of a message's";
  EXPECT_EQ(ends({"<|end|>", "<|flush|>", "<|calls|>"}), Ids({4, 5}));
  EXPECT_EQ(ends({"<|end|>", "<|return|>"}), Ids({3, 4}));
  EXPECT_EQ(ends({"</s>", "<|tool_response>", "<turn|>"}), Ids({4, 5}));
  EXPECT_EQ(ends({"</s>", "<turn|>"}), Ids({3, 4}));
  EXPECT_EQ(ends({"<|over|>", "<eot>", "<|im_end|", "</S>", "<|channel|>"}), Ids());
  EXPECT_EQ(ends({"<PAD>", "[PAD]", "<|repo_name|>", "<|file_sep|>", "<PRE>"}), Ids({3, 5, 6}))
      << "one of each of fill-in-the-middle";
}

TEST(GgufTokenizerTest, EndsByTheirIds) {
  Metadata metadata = ByteLevel();
  metadata.Set("eos_token_id", 0u);
  metadata.Set("eot_token_id", 1u);
  metadata.Set("eom_token_id", 3u);
  metadata.Set("fim_rep_token_id", 4u);
  EXPECT_EQ(metadata.Import(kByteLevelTokens)->end_tokens, std::vector<TokenId>({0, 1, 3, 5, 4}));
}

TEST(GgufTokenizerTest, TokensThatAreNotToBeDrawn) {
  Metadata metadata = ByteLevel();
  metadata.Set("suppress_tokens", std::vector<uint32_t>{});
  EXPECT_EQ(metadata.Notes(kByteLevelTokens).size(), 1u) << "of bytes without tokens";
  metadata.Set("suppress_tokens", std::vector<uint32_t>{1, 2});
  EXPECT_EQ(metadata.Notes(kByteLevelTokens).back(),
            "metadata key tokenizer.ggml.suppress_tokens: the file asks that 2 tokens never be "
            "drawn, which tvl does not do");
}

// A file's special ids, or what llama.cpp has in their place.
TEST(GgufTokenizerTest, IdsThatAreNoTokens) {
  Metadata metadata;
  metadata.Set("model", std::string_view("llama"));
  metadata.Set("tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a"});
  const auto ids = [&](const Metadata& from, uint32_t size) {
    const absl::StatusOr<TokenizerData> data = from.Import(size);
    EXPECT_TRUE(data.ok()) << data.status();
    return std::vector<TokenId>({data->unk_id, data->bos_id, data->eos_id, data->pad_id});
  };
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(ids(metadata, 4), Ids({0, 1, 2, -1}));
  EXPECT_EQ(metadata.Import(4)->end_tokens, Ids({2}));
  metadata.Set("bos_token_id", UINT32_MAX);
  metadata.Set("eos_token_id", -1);
  metadata.Set("unknown_token_id", 4u);
  metadata.Set("padding_token_id", 4u);
  metadata.Set("eot_token_id", 99u);
  EXPECT_EQ(ids(metadata, 4), Ids({0, 1, 2, -1}));
  const std::string key = "metadata key tokenizer.ggml.";
  EXPECT_EQ(
      metadata.Notes(4),
      std::vector<std::string>(
          {key + "bos_token_id: 4294967295 is no token of the 4, and 1, the default, was taken",
           key + "eos_token_id: -1 is no token of the 4, and 2, the default, was taken",
           key + "unknown_token_id: 4 is no token of the 4, and 0, the default, was taken",
           key + "padding_token_id: 4 is no token of the 4, and was left out",
           key + "eot_token_id: 99 is no token of the 4, and was left out"}));
  metadata.Set("bos_token_id", 3u);
  EXPECT_EQ(ids(metadata, 4), Ids({0, 3, 2, -1}));
  metadata.Set("tokens", std::vector<std::string>{"a", "b"});
  EXPECT_EQ(ids(metadata, 2), Ids({0, 1, -1, -1})) << "no default is beyond the vocabulary";
  metadata.Set("bos_token_id", std::string_view("<s>"));
  EXPECT_FALSE(metadata.Import(2).ok());

  Metadata falcon = ByteLevel();
  falcon.Drop("unknown_token_id");
  std::vector<std::string> tokens;
  for (int i = 0; i < 12; ++i) tokens.push_back(std::string(1, static_cast<char>('a' + i)));
  falcon.Set("tokens", tokens);
  std::vector<uint32_t> types(12, 1);
  falcon.Set("token_type", types);
  EXPECT_EQ(ids(falcon, 12), Ids({-1, -1, -1, -1})) << "11 is Falcon's, where it is control";
  types[11] = 3;
  falcon.Set("token_type", types);
  EXPECT_EQ(ids(falcon, 12), Ids({-1, 11, 11, -1}));
  EXPECT_EQ(falcon.Import(12)->end_tokens, Ids({11}));
}

// Where the file's types would keep a template's own text from becoming what it says.
TEST(GgufTokenizerTest, NormalTokensThatOpenTurns) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokens", std::vector<std::string>{"a", "b", "ab", "<|im_start|>", "[INST]"});
  metadata.Set("token_type", std::vector<uint32_t>{1, 1, 1, 1, 4});
  metadata.Drop("unknown_token_id");
  EXPECT_EQ(metadata.Import(5)->piece_types[3], PieceType::kNormal);
  metadata.Set("chat_template", std::string_view("<|im_start|>[INST]"));
  EXPECT_EQ(metadata.Import(5)->piece_types[3], PieceType::kControl);
  EXPECT_EQ(metadata.Import(5)->piece_types[4], PieceType::kUserDefined) << "text becomes it";
}

TEST(GgufTokenizerTest, RefusesAnEmptyVocabulary) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokens", std::vector<std::string>{});
  EXPECT_EQ(metadata.Import(0).status().message(),
            "metadata key tokenizer.ggml.tokens: expected at least one token, found none");
}

TEST(GgufTokenizerTest, MergesThatAreNone) {
  const auto merges = [](const std::vector<std::string>& lines) {
    Metadata metadata = ByteLevel();
    metadata.Set("merges", lines);
    return metadata.Import(kByteLevelTokens)->merges;
  };
  using Merges = std::vector<TokenizerMerge>;
  EXPECT_EQ(merges({}), Merges());
  EXPECT_EQ(
      merges({"#version: 0.2", "", " ", "ab", "a ", " a", "a b b", "a \xFF", "a \xC4", "a b"}),
      Merges({{0, 1, 3}}));
  EXPECT_EQ(merges({"xx a", "a xx"}), Merges()) << "of what never comes about";
  // Bytes without a token, 9 + 'x', and what merges make on their way, from 9 + 256 on.
  EXPECT_EQ(merges({"a x", "ax ab"}), Merges({{0, 9 + 'x', 265}, {265, 3, 266}}));
  EXPECT_EQ(merges({"b a", "a b", "b a"}), Merges({{1, 0, 265}, {0, 1, 3}, {1, 0, 265}}));

  Metadata metadata = ByteLevel();
  metadata.Set("merges", std::vector<std::string>{"#version: 0.2", "a b", "b a"});
  const std::vector<std::string> notes = metadata.Notes(kByteLevelTokens);
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_EQ(notes[1],
            "metadata key tokenizer.ggml.merges: 1 of 3 are no merges of texts that come about, or "
            "are of control tokens, and were left out");
  EXPECT_EQ(notes[2],
            "metadata key tokenizer.ggml.merges: 1 of 3 make a text that is no token; it is "
            "split into single letters again");
  metadata.Drop("merges");
  EXPECT_EQ(metadata.Import(kByteLevelTokens).status().message(),
            "metadata key tokenizer.ggml.merges: expected an array of strings, found none");
}

TEST(GgufTokenizerTest, RefusesPreTokenizersThatItDoesNotKnow) {
  Metadata metadata = ByteLevel();
  metadata.Set("pre", std::string_view("chameleon"));
  const std::string message = absl::StrCat(metadata.Import(kByteLevelTokens).status().message());
  EXPECT_TRUE(
      message.starts_with("metadata key tokenizer.ggml.pre: expected a pre-tokenizer that this "
                          "version knows (a.x-4.0, "))
      << message;
  EXPECT_NE(message.find(", llama-bpe, "), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with("), found 'chameleon'")) << message;
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
  EXPECT_EQ(data->piece_types[3], PieceType::kNormal) << "what merges make";
  EXPECT_TRUE(data->added_tokens.empty());
  EXPECT_EQ(data->flags, kTokenizerDummyPrefix | kTokenizerAddBos);
  EXPECT_TRUE(data->merges.empty());
  metadata.Set("tokens", std::vector<std::string>{"<unk>", "a",
                                                  "\xE2\x96\x81"
                                                  "<PRE>",
                                                  " a"});
  metadata.Set("token_type", std::vector<uint32_t>{2, 1, 4, 4});
  EXPECT_EQ(metadata.Import(4)->pieces[2],
            "\xE2\x96\x81"
            "<PRE>")
      << "a control token by its text";
  EXPECT_EQ(metadata.Import(4)->added_tokens, std::vector<AddedToken>({{3, 0}}));
}

// Bytes are known by their names, and the special ids without types too.
TEST(GgufTokenizerTest, SentencePieceWithoutScoresAndTypes) {
  Metadata metadata;
  metadata.Set("model", std::string_view("llama"));
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(absl::StrFormat("<0x%02X>", byte));
  tokens.push_back("a");
  metadata.Set("tokens", tokens);
  std::vector<PieceType> types(260, PieceType::kByte);
  types[0] = PieceType::kUnknown;
  types[1] = types[2] = PieceType::kControl;
  types[259] = PieceType::kNormal;
  absl::StatusOr<TokenizerData> data = metadata.Import(260);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->piece_types, types);
  EXPECT_EQ(data->scores, std::vector<float>(260, 0));
  EXPECT_NE(data->flags & kTokenizerByteFallback, 0u);
  std::vector<uint32_t> numbers(260, 1);
  numbers[0] = 2;
  numbers[1] = numbers[2] = 3;
  numbers[259] = 0;  // undefined
  metadata.Set("token_type", numbers);
  EXPECT_EQ(metadata.Import(260)->piece_types, types) << "whatever the types say of bytes";
  metadata.Set("scores", std::vector<uint32_t>(260, 7));
  EXPECT_EQ(metadata.Import(260)->scores, std::vector<float>(260, 7)) << "integers are numbers";
  numbers[3] = 3;
  metadata.Set("token_type", numbers);
  EXPECT_EQ(metadata.Import(260)->piece_types, types) << "bytes are known by their names";
  tokens[3 + 'q'] = "no byte";
  metadata.Set("tokens", tokens);
  EXPECT_NE(metadata.Import(260)->flags & kTokenizerByteFallback, 0u) << "the others have theirs";
  for (size_t i = 3; i < 259; ++i) tokens[i] = "no byte";
  metadata.Set("tokens", tokens);
  EXPECT_EQ(metadata.Import(260)->flags & kTokenizerByteFallback, 0u) << "there is none";
}

}  // namespace
}  // namespace tvl
