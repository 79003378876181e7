#include "tools/log_softmax.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "core/canonical_math.h"

namespace tvl {
namespace {

// Term i is added to partial sum i mod 8, and these in pairs: one order that vectors of any width
// can follow. On a Xeon a term of LogSumExp takes 2.5 ns with AVX-512, 3.3 ns with AVX2, and 11 ns
// where the compiler makes no vectors of it.
constexpr size_t kLanes = 8;

template <typename Term>
double Sum(size_t n, Term&& term) {
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(i + lane);
  }
  for (size_t lane = 0; i + lane < n; ++lane) sums[lane] += term(i + lane);
  for (size_t width = kLanes / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

}  // namespace

double LogSumExp(std::span<const float> logits) {
  const float* x = logits.data();
  float largest = x[0];
  for (const float logit : logits) largest = std::max(largest, logit);
  const double max = static_cast<double>(largest);
  const double sum =
      Sum(logits.size(), [&](size_t i) { return CanonicalExp(static_cast<double>(x[i]) - max); });
  // The largest logit alone gives 1.
  if (!(sum >= 1)) return std::numeric_limits<double>::quiet_NaN();
  return max + CanonicalLog(sum);
}

double KlDivergence(std::span<const float> p, double p_log_sum, std::span<const float> q,
                    double q_log_sum) {
  return Sum(p.size(), [&](size_t i) {
    const double log_p = static_cast<double>(p[i]) - p_log_sum;
    const double log_q = static_cast<double>(q[i]) - q_log_sum;
    const double weight = CanonicalExp(log_p);
    return weight == 0 ? 0.0 : weight * (log_p - log_q);
  });
}

}  // namespace tvl
