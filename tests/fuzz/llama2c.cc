// Fuzz target: bytes as a llama2.c checkpoint of version TVL_FUZZ_VERSION. What is accepted is
// converted, read back and generated from.
#include "models/import/llama2c.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>

#include "absl/status/statusor.h"
#include "models/tvl_writer.h"
#include "tests/fuzz/accepted.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = tvl::testing::Copy(std::as_bytes(std::span(data, size)));
#if TVL_FUZZ_VERSION > 0
  // The other versions have targets of their own.
  const uint32_t header[2] = {0x616b3432, TVL_FUZZ_VERSION};
  if (size < sizeof header) return 0;
  std::memcpy(file.data(), header, sizeof header);
#endif
  const absl::StatusOr<tvl::ModelSource> model = tvl::ImportLlama2c(file.span());
  if (!model.ok()) {
    TVL_FUZZ_CHECK(!model.status().message().empty());
    return 0;
  }
  tvl::testing::ConvertModel(*model, tvl::kWeightTypes[size % std::size(tvl::kWeightTypes)]);
  return 0;
}
