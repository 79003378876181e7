// Unrolling that does not depend on the optimiser's mood.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_UNROLL_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_UNROLL_H_

#include <cstddef>
#include <type_traits>
#include <utility>

namespace tvl::neon {

// Calls f(constant 0) ... f(constant N-1) in straight line. A plain loop is not enough: gcc at -O2
// keeps it, and with it an array of accumulators in memory; and the lane of an FMLA by element has
// to be a constant anyway.
template <size_t N, typename F>
[[gnu::always_inline]] inline void Unroll(F&& f) {
  [&]<size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<size_t, I>{}), ...);
  }
  (std::make_index_sequence<N>{});
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_UNROLL_H_
