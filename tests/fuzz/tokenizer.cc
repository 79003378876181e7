// Fuzz target: two bytes that choose, then what they choose is made of.
//
// The first bytes 0xFF 0xFF: a tokenizer section, as it lies in a .tvl file. 0xFF 0xFE, a byte for
// the pre-tokenizer and one for flags: a byte-level vocabulary whose merges are pairs of bytes.
// Anything else: the size of a vocabulary, then a llama2.c tokenizer.bin. What is accepted is
// serialized, read back, and used on the input's own bytes.
#include "models/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "tests/fuzz/accepted.h"

namespace {

constexpr int64_t kSection = 0xFFFF;
constexpr int64_t kByteLevel = 0xFEFF;

// Every byte is a token, and so is what each merge makes of two that there are by then. The bits 0
// and 1 of the flags take a byte's and what the last merges make away.
tvl::TokenizerData ByteLevelVocabulary(std::span<const uint8_t> choices) {
  tvl::TokenizerData data;
  data.kind = tvl::TokenizerKind::kByteLevelBpe;
  for (int byte = 0; byte < 256; ++byte) data.pieces.emplace_back(1, static_cast<char>(byte));
  const uint8_t lacking = choices.size() >= 2 ? choices[1] : 0;
  if (choices.size() >= 2) {
    data.pre_tokenizer = choices[0] % 32;
    data.flags = choices[1] & (tvl::kTokenizerAddBos | tvl::kTokenizerWholePieceFirst);
    choices = choices.subspan(2);
  }
  for (; choices.size() >= 2 && data.merges.size() < 64; choices = choices.subspan(2)) {
    const size_t last = data.pieces.size() - 1;
    const uint32_t left = static_cast<uint32_t>(choices[0] % 2 == 0 ? choices[0] : last);
    const uint32_t right = choices[1];
    data.merges.push_back({left, right, static_cast<uint32_t>(data.pieces.size())});
    data.pieces.push_back(data.pieces[left] + data.pieces[right]);
  }
  if ((lacking & 1) != 0) data.pieces['b'].clear();
  if ((lacking & 2) != 0) data.pieces.resize(std::max<size_t>(data.pieces.size() - 8, 256));
  return data;
}

void UseSection(std::span<const std::byte> bytes, std::string_view text) {
  const auto section = tvl::testing::Copy(bytes);
  const absl::StatusOr<tvl::TokenizerView> view = tvl::ParseTokenizer(section.span());
  if (!view.ok()) return;
  const absl::StatusOr<tvl::Tokenizer> tokenizer = tvl::Tokenizer::Create(*view);
  if (tokenizer.ok()) tvl::testing::UseTokenizer(*tokenizer, text);
}

void UseData(const tvl::TokenizerData& data, std::string_view text, bool must_open) {
  const std::string serialized = tvl::SerializeTokenizer(data);
  const auto section = tvl::testing::Copy(std::as_bytes(std::span<const char>(serialized)));
  const auto view = tvl::ParseTokenizer(section.span());
  TVL_FUZZ_CHECK(view.ok());
  const absl::StatusOr<tvl::Tokenizer> tokenizer = tvl::Tokenizer::Create(*view);
  TVL_FUZZ_CHECK(tokenizer.ok() || !must_open);
  if (tokenizer.ok()) tvl::testing::UseTokenizer(*tokenizer, text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const int64_t vocabulary = data[0] | data[1] << 8;
  const std::string_view text(reinterpret_cast<const char*>(data), std::min<size_t>(size, 4096));
  const std::span<const uint8_t> rest(data + 2, size - 2);
  if (vocabulary == kSection) {
    UseSection(std::as_bytes(rest), text);
    return 0;
  }
  if (vocabulary == kByteLevel) {
    UseData(ByteLevelVocabulary(rest), text, /*must_open=*/false);
    return 0;
  }
  const auto file = tvl::testing::Copy(std::as_bytes(rest));
  const absl::StatusOr<tvl::TokenizerData> imported =
      tvl::ImportLlama2cTokenizer(file.span(), vocabulary);
  if (!imported.ok()) {
    TVL_FUZZ_CHECK(!imported.status().message().empty());
    return 0;
  }
  UseData(*imported, text, /*must_open=*/true);
  return 0;
}
