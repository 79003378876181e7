// Whether numbers are finite: neither infinite nor NaN.
#ifndef TVL_CORE_FINITE_H_
#define TVL_CORE_FINITE_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace tvl {

// Whether none of the numbers is infinite or NaN. Looks at exponents as integers, so that no
// compiler's idea of floating point can take the test away, in a loop without branches.
inline bool AllFinite(std::span<const float> numbers) {
  constexpr int32_t kMagnitude = 0x7FFFFFFF, kInfinity = 0x7F800000;
  int32_t largest = 0;
  for (const float number : numbers)
    largest = std::max(largest, std::bit_cast<int32_t>(number) & kMagnitude);
  return largest < kInfinity;
}

}  // namespace tvl

#endif  // TVL_CORE_FINITE_H_
