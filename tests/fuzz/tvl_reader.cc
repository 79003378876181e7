// Fuzz target: bytes as a .tvl file, as they are and with the header's checksum made right, without
// which nearly every mutation would end at the first check.
#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/accepted.h"
#include "tests/support/seal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = tvl::testing::Copy(std::as_bytes(std::span(data, size)));
  tvl::testing::ReadTvl(file.span());
  tvl::testing::Seal(file.span());
  tvl::testing::ReadTvl(file.span());
  return 0;
}
