#include "tools/logits_hash.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "core/kernel.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

uint64_t HashOf(const std::vector<float>& logits) {
  LogitsHash hash;
  hash.Add(logits);
  return hash.digest();
}

// The definition, over one buffer.
TEST(LogitsHashTest, HashesVersionAndBits) {
  std::vector<float> logits;
  std::vector<uint32_t> words = {kContractVersion};
  for (int i = 0; i < 5000; ++i) {
    logits.push_back(static_cast<float>(i - 2500) / 7.0f);
    words.push_back(i == 2500 ? 0 : std::bit_cast<uint32_t>(logits.back()));
  }
  const uint64_t expected = XXH3_64bits(words.data(), words.size() * sizeof(uint32_t));
  EXPECT_EQ(HashOf(logits), expected);

  LogitsHash in_parts;
  const std::span<const float> all = logits;
  in_parts.Add(all.first(1));
  in_parts.Add(all.subspan(1, 0));
  in_parts.Add(all.subspan(1, 1500));
  in_parts.Add(all.subspan(1501));
  EXPECT_EQ(in_parts.digest(), expected);
}

TEST(LogitsHashTest, EqualNumbersAreEqual) {
  EXPECT_EQ(HashOf({-0.0f}), HashOf({0.0f}));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const uint32_t bits : {0xffc00000u, 0x7f800001u, 0xffffffffu}) {
    EXPECT_EQ(HashOf({std::bit_cast<float>(bits)}), HashOf({nan}));
  }
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_NE(HashOf({infinity}), HashOf({nan}));
  EXPECT_NE(HashOf({infinity}), HashOf({-infinity}));
  EXPECT_NE(HashOf({std::numeric_limits<float>::denorm_min()}), HashOf({0.0f}));
}

}  // namespace
}  // namespace tvl
