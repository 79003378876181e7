// Fuzz target: two bytes of vocabulary size, then a llama2.c tokenizer.bin. What is accepted is
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const int64_t vocabulary = data[0] | data[1] << 8;
  const auto file = tvl::testing::Copy(std::as_bytes(std::span(data + 2, size - 2)));
  const absl::StatusOr<tvl::TokenizerData> imported =
      tvl::ImportLlama2cTokenizer(file.span(), vocabulary);
  if (!imported.ok()) {
    TVL_FUZZ_CHECK(!imported.status().message().empty());
    return 0;
  }
  const std::string serialized = tvl::SerializeTokenizer(*imported);
  const auto section = tvl::testing::Copy(std::as_bytes(std::span<const char>(serialized)));
  const auto view = tvl::ParseTokenizer(section.span());
  TVL_FUZZ_CHECK(view.ok());
  const absl::StatusOr<tvl::Tokenizer> tokenizer = tvl::Tokenizer::Create(*view);
  TVL_FUZZ_CHECK(tokenizer.ok());
  tvl::testing::UseTokenizer(*tokenizer, std::string_view(reinterpret_cast<const char*>(data),
                                                          std::min<size_t>(size, 4096)));
  return 0;
}
