#include "core/finite.h"

#include <cstddef>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(FiniteTest, FindsOneAnywhere) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const size_t count : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 64}) {
    std::vector<float> numbers(count, std::numeric_limits<float>::max());
    for (size_t i = 0; i < count; ++i) {
      for (const float wrong : {infinity, -infinity, nan, -nan}) {
        numbers[i] = wrong;
        EXPECT_FALSE(AllFinite(numbers)) << wrong << " at " << i << " of " << count;
      }
      numbers[i] = i % 2 == 0 ? std::numeric_limits<float>::lowest() : -0.0f;
      EXPECT_TRUE(AllFinite(numbers)) << i << " of " << count;
    }
  }
  EXPECT_TRUE(AllFinite({}));
}

}  // namespace
}  // namespace tvl
