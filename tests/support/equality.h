// The engine's equality: a == b, or both are NaN.
#ifndef TVL_TESTS_SUPPORT_EQUALITY_H_
#define TVL_TESTS_SUPPORT_EQUALITY_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

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
  const auto text = [](float f) {
    char text[64];
    std::snprintf(text, sizeof text, "%g (0x%08x)", static_cast<double>(f),
                  std::bit_cast<unsigned>(f));
    return std::string(text);
  };
  return ::testing::AssertionFailure()
         << differences << " of " << expected.size() << " differ, first [" << first
         << "]: expected " << text(expected[first]) << ", got " << text(actual[first]);
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_EQUALITY_H_
