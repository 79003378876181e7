// Fuzz target: bytes as a GGUF file. The model that is accepted is converted, read back and
// generated from; the tokenizer is written, read back and used.
#include "models/import/gguf.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_tokenizer.h"
#include "models/recipe.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_writer.h"
#include "tests/fuzz/accepted.h"

namespace {

void UseGgufTokenizer(const tvl::GgufMetadata& metadata) {
  const tvl::GgufValue* tokens = metadata.Find("tokenizer.ggml.tokens");
  const uint32_t count = tokens == nullptr ? 1 : static_cast<uint32_t>(tokens->count);
  const absl::StatusOr<tvl::TokenizerData> data =
      tvl::ImportGgufTokenizer(metadata, count, nullptr);
  if (!data.ok()) {
    TVL_FUZZ_CHECK(!data.status().message().empty());
    return;
  }
  if (data->pieces.empty()) return;
  const std::string section = tvl::SerializeTokenizer(*data);
  const auto bytes = std::as_bytes(std::span(section.data(), section.size()));
  const absl::StatusOr<tvl::TokenizerView> view = tvl::ParseTokenizer(bytes);
  TVL_FUZZ_CHECK(view.ok());
  const absl::StatusOr<tvl::Tokenizer> tokenizer = tvl::Tokenizer::Create(*view);
  TVL_FUZZ_CHECK(tokenizer.ok());
  tvl::testing::UseTokenizer(*tokenizer, "Once upon\xff a \xc3\xa4 time \xe2\x96\x81 <s>");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = tvl::testing::Copy(std::as_bytes(std::span(data, size)));
  const absl::StatusOr<tvl::GgufFile> gguf = tvl::ParseGguf(file.span());
  if (!gguf.ok()) {
    TVL_FUZZ_CHECK(!gguf.status().message().empty());
    return 0;
  }
  UseGgufTokenizer(gguf->metadata);
  const absl::StatusOr<tvl::ModelSource> model = tvl::ImportGguf(*gguf);
  if (!model.ok()) {
    TVL_FUZZ_CHECK(!model.status().message().empty());
    return 0;
  }
  const size_t choice = size % (std::size(tvl::kWeightTypes) + 1);
  tvl::testing::ConvertModel(*model, choice == std::size(tvl::kWeightTypes)
                                         ? tvl::Recipe::AsSource()
                                         : tvl::Recipe(tvl::kWeightTypes[choice]));
  return 0;
}
