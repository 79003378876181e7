// The engine's equality: a == b, or both are NaN.
#ifndef TVL_TESTS_SUPPORT_EQUALITY_H_
#define TVL_TESTS_SUPPORT_EQUALITY_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ios>
#include <span>

namespace tvl::testing {

inline bool Equal(float a, float b) { return a == b || (a != a && b != b); }

// `expected` is the reference's answer. Names the first difference, its bits, and how many there
// are.
inline ::testing::AssertionResult AllEqual(std::span<const float> expected,
                                           std::span<const float> actual) {
  if (expected.size() != actual.size()) return ::testing::AssertionFailure() << "sizes differ";
  size_t differences = 0;
  size_t first = 0;
  for (size_t i = expected.size(); i-- > 0;) {
    if (Equal(expected[i], actual[i])) continue;
    first = i;
    ++differences;
  }
  if (differences == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << differences << " of " << expected.size() << " differ, first [" << first
         << "]: expected " << expected[first] << " (0x" << std::hex
         << std::bit_cast<uint32_t>(expected[first]) << "), got " << actual[first] << " (0x"
         << std::bit_cast<uint32_t>(actual[first]) << ")";
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_EQUALITY_H_
