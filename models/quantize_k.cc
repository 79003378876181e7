#include "models/quantize_k.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "core/canonical_math.h"
#include "core/float16.h"
#include "models/quantize.h"

// All blocks of a superblock are searched side by side, a block to a lane of a vector, so that sums
// over a block need no order but that of its numbers. kMinima: of q4k and q5k, not of q6k.

namespace tvl {
namespace {

constexpr uint16_t kNaNF16 = 0x7e00, kSignF16 = 0x8000;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
// A step below this is none, for f16 ends at 2^-24; and quotients stay finite.
constexpr float kTiny = 0x1p-60f;

template <bool kMinima>
constexpr size_t kBlocks = kMinima ? 8 : 16;
template <bool kMinima>
constexpr size_t kLength = kKSuperblock / kBlocks<kMinima>;
static_assert(ScaleBlock(WeightType::kQ4K) == kLength<true> &&
              ScaleBlock(WeightType::kQ5K) == kLength<true> &&
              ScaleBlock(WeightType::kQ6K) == kLength<false>);

// One number for each block.
template <bool kMinima>
using Lanes = std::array<float, kBlocks<kMinima>>;

// What the integers of a type can be, and ranges that are tried: quants between the ends of a block
// (q6k: quants that the largest magnitude is tried as). The plain rule's is the first, then come
// others of more clipping and less. Over normally distributed numbers the squared error that is
// left is within 1% (q4k, q6k) and 1.5% (q5k) of what a grid of 180 finds.
struct Range {
  float low, high;              // quants
  float low_scale, high_scale;  // integer scales, and minima
  std::span<const float> spans;
};
constexpr float kSpansQ4K[] = {15.0f, 15.25f, 15.5f, 16.0f, 16.5f, 17.0f, 14.5f, 14.0f, 13.0f};
constexpr float kSpansQ5K[] = {31.0f, 31.25f, 31.5f, 31.75f, 32.0f, 32.5f,
                               33.0f, 30.5f,  30.0f, 29.5f,  29.0f};
constexpr float kTopsQ6K[] = {-32.0f, -32.5f, -31.5f, -33.0f, -31.0f, -30.5f, -30.0f, -29.5f,
                              -29.0f, -28.5f, -28.0f, -27.5f, -27.0f, -26.5f, -26.0f, -25.0f};

constexpr Range RangeOf(WeightType type) {
  if (type == WeightType::kQ4K) return {0, 15, 0, 255, kSpansQ4K};
  if (type == WeightType::kQ5K) return {0, 31, 0, 255, kSpansQ5K};
  return {-32, 31, -128, 127, kTopsQ6K};
}

// An integer. |x| < 2^21
float Round(float x) { return static_cast<float>(RoundToInt(x)); }

// Comparisons rather than std::clamp, whose references keep loops from vectors. So do bounds that
// the compiler knows, of which it makes branches: they come from a Range.
float Clamp(float x, float low, float high) {
  const float above = x < low ? low : x;
  return above > high ? high : above;
}

// Without conditions: GCC makes branches of those that a division depends on.
float Inverse(float step) {
  const float none = static_cast<float>(std::fabs(step) < kTiny);
  return (1 - none) / (step + none);
}

template <size_t n>
float Sum(const std::array<float, n>& terms) {
  float sum = 0;
  for (const float term : terms) sum += term;
  return sum;
}

// The number that is largest in magnitude, the first of equals.
template <size_t n>
float Top(const std::array<float, n>& numbers) {
  float top = 0;
  for (const float x : numbers) top = std::fabs(x) > std::fabs(top) ? x : top;
  return top;
}

// The nearest f16, without a negative zero; a number that is not 0 stays so.
uint16_t ToScale(float number) {
  const uint16_t bits = F32ToF16(number);
  if ((bits & ~kSignF16) != 0) return bits;
  return number == 0 ? 0 : number < 0 ? kSignF16 | 1 : 1;
}

// The numbers, or with the sign -1 their opposites. Those beyond the count are 0 and not used.
template <bool kMinima>
struct Columns {
  Columns(WeightType type, const float* numbers, size_t n, float sign) : range(RangeOf(type)) {
    for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
      const size_t begin = b * kLength<kMinima>;
      const size_t given = n < begin ? 0 : std::min(n - begin, kLength<kMinima>);
      for (size_t i = 0; i < given; ++i) {
        x[i][b] = sign * numbers[begin + i];
        used[i][b] = 1;
      }
      count[b] = static_cast<float>(given);
    }
  }
  const Range range;
  alignas(64) Lanes<kMinima> x[kLength<kMinima>] = {};
  alignas(64) Lanes<kMinima> used[kLength<kMinima>] = {};  // 1 or 0
  alignas(64) Lanes<kMinima> count;
};

// weight = scale * quant + minimum. Minima are never above 0.
template <bool kMinima>
struct Steps {
  Lanes<kMinima> scale = {};
  Lanes<kMinima> minimum = {};
};

template <bool kMinima>
float Quant(float x, float inverse, float minimum, float low, float high) {
  return Round(Clamp((kMinima ? x - minimum : x) * inverse, low, high));
}

template <bool kMinima>
float Weight(float quant, float scale, float minimum) {
  return kMinima ? std::fma(quant, scale, minimum) : scale * quant;
}

// Steps that are best for their quants, and what squared errors they leave.
template <bool kMinima>
struct Fit {
  Fit() { error.fill(kInfinity); }
  // The better of both for each block, the first of equals.
  void Keep(const Fit& other) {
    for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
      const bool better = other.error[b] < error[b];
      error[b] = better ? other.error[b] : error[b];
      steps.scale[b] = better ? other.steps.scale[b] : steps.scale[b];
      if constexpr (kMinima) {
        steps.minimum[b] = better ? other.steps.minimum[b] : steps.minimum[b];
        mean_quant[b] = better ? other.mean_quant[b] : mean_quant[b];
      }
    }
  }
  Lanes<kMinima> error;
  Steps<kMinima> steps;
  Lanes<kMinima> mean_quant = {};
};

// Sums over quants q and errors e.
template <bool kMinima>
struct Moments {
  Lanes<kMinima> q = {}, e = {}, qq = {}, qe = {}, ee = {};
};

// Of sums of integers, which are exact: where they are 0, so is what they divide.
float AtLeast1(float sum) { return sum + static_cast<float>(sum < 1); }

template <bool kMinima>
Moments<kMinima> FindMoments(const Columns<kMinima>& columns, const Steps<kMinima>& steps) {
  const float low = columns.range.low, high = columns.range.high;
  Lanes<kMinima> inverse;
  Moments<kMinima> sum;
  for (size_t b = 0; b < kBlocks<kMinima>; ++b) inverse[b] = Inverse(steps.scale[b]);
  for (size_t i = 0; i < kLength<kMinima>; ++i) {
    for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
      const float x = columns.x[i][b], scale = steps.scale[b], minimum = steps.minimum[b];
      float q = Quant<kMinima>(x, inverse[b], minimum, low, high);
      float e = x - Weight<kMinima>(q, scale, minimum);
      if constexpr (kMinima) {  // without them both are 0 where there is no number
        q *= columns.used[i][b];
        e *= columns.used[i][b];
        sum.q[b] += q;
        sum.e[b] += e;
      }
      sum.qq[b] = std::fma(q, q, sum.qq[b]);
      sum.qe[b] = std::fma(q, e, sum.qe[b]);
      sum.ee[b] = std::fma(e, e, sum.ee[b]);
    }
  }
  return sum;
}

// The best scale for the quants that these steps lead to, by least squares.
template <bool kMinima>
Fit<kMinima> RefitScale(const Columns<kMinima>& columns, const Steps<kMinima>& steps) {
  const Moments<kMinima> sum = FindMoments(columns, steps);
  Fit<kMinima> fit;
  fit.steps = steps;
  for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
    const float s = sum.qe[b] / AtLeast1(sum.qq[b]);
    fit.error[b] = sum.ee[b] - s * sum.qe[b];
    fit.steps.scale[b] += s;
    fit.mean_quant[b] = sum.q[b] / AtLeast1(columns.count[b]);
  }
  return fit;
}

// The best scale and minimum.
Fit<true> RefitBoth(const Columns<true>& columns, const Steps<true>& steps) {
  const Moments<true> sum = FindMoments(columns, steps);
  Fit<true> fit;
  for (size_t b = 0; b < kBlocks<true>; ++b) {
    const float n = AtLeast1(columns.count[b]);
    const float determinant = sum.qq[b] * n - sum.q[b] * sum.q[b];
    const float slope = (sum.qe[b] * n - sum.q[b] * sum.e[b]) / AtLeast1(determinant);
    const float offset = (sum.e[b] - static_cast<float>(determinant > 0) * slope * sum.q[b]) / n;
    // Where the minimum would come to lie above 0, it is 0.
    const float minimum = steps.minimum[b];
    const float m = -minimum < offset ? -minimum : offset;
    const float s = (sum.qe[b] - m * sum.q[b]) / AtLeast1(sum.qq[b]);
    fit.error[b] = sum.ee[b] - s * (2 * (sum.qe[b] - m * sum.q[b]) - s * sum.qq[b]) -
                   m * (2 * sum.e[b] - m * n);
    fit.steps.scale[b] = steps.scale[b] + s;
    fit.steps.minimum[b] = minimum + m;
    fit.mean_quant[b] = sum.q[b] / n;
  }
  return fit;
}

// The ends of each block: the lowest number, or 0 if that is lower, and how far the highest is
// above it. Without minima the range is the number largest in magnitude.
template <bool kMinima>
struct Ends {
  explicit Ends(const Columns<kMinima>& columns) {
    Lanes<kMinima> lowest, highest;
    lowest.fill(kInfinity);
    highest.fill(-kInfinity);
    for (size_t i = 0; i < kLength<kMinima>; ++i) {
      for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
        const float x = columns.x[i][b];
        const bool used = columns.used[i][b] != 0;
        lowest[b] = (used & (x < lowest[b])) ? x : lowest[b];
        highest[b] = (used & (x > highest[b])) ? x : highest[b];
      }
    }
    for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
      if (columns.count[b] == 0) continue;
      if constexpr (kMinima) {
        low[b] = lowest[b] < 0 ? lowest[b] : 0;
        range[b] = highest[b] - low[b];
        above_zero = above_zero || lowest[b] > 0;
      } else {
        range[b] = -lowest[b] > highest[b] ? lowest[b] : highest[b];
      }
    }
  }
  // Steps of which `span` make the range. If that is more than there are, a part of what is beyond
  // them lies below.
  Steps<kMinima> At(float span, float part, const Range& quants) const {
    Steps<kMinima> steps;
    for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
      steps.scale[b] = range[b] / span;
      if constexpr (kMinima) {
        const float minimum = low[b] + part * (range[b] - quants.high * steps.scale[b]);
        steps.minimum[b] = minimum < 0 ? minimum : 0;
      }
    }
    return steps;
  }

  Lanes<kMinima> low = {}, range = {};
  bool above_zero = false;  // whether all numbers of some block are
};

// The best steps if they need not be stored.
template <bool kMinima>
Fit<kMinima> SearchSteps(const Columns<kMinima>& columns, const Ends<kMinima>& ends) {
  Fit<kMinima> best;
  const auto consider = [&](const Steps<kMinima>& steps) {
    if constexpr (kMinima) {
      best.Keep(RefitBoth(columns, steps));
    } else {
      best.Keep(RefitScale(columns, steps));
    }
  };
  const Range& range = columns.range;
  for (const float span : range.spans) {
    consider(ends.At(span, 0.5f, range));
    if constexpr (kMinima) {
      consider(ends.At(span, 0, range));
      consider(ends.At(span, 1, range));
    }
  }
  constexpr int kRounds = 2;
  for (int i = 0; i < kRounds; ++i) consider(Steps<kMinima>(best.steps));
  return best;
}

// The best scales for minima that are multiples of a step: far from 0 that is wide, and only
// upwards of the minimum is there anything. Also tried are the steps that just reach the highest
// number, from the nearest minimum and from the one below it.
Fit<true> SearchScales(const Columns<true>& columns, const Ends<true>& ends, const Fit<true>& fit,
                       uint16_t step) {
  const float dmin = F16ToF32(step), inverse = Inverse(dmin);
  const float most = columns.range.high_scale;
  Steps<true> near = fit.steps, wide, below;
  for (size_t b = 0; b < kBlocks<true>; ++b) {
    const float m = Round(Clamp(-near.minimum[b] * inverse, 0, most));
    const float highest = ends.low[b] + ends.range[b];
    near.minimum[b] = wide.minimum[b] = -(dmin * m);
    below.minimum[b] = -(dmin * Clamp(m + 1, 0, most));
    wide.scale[b] = (highest - wide.minimum[b]) / columns.range.high;
    below.scale[b] = (highest - below.minimum[b]) / columns.range.high;
  }
  Fit<true> best = RefitScale(columns, near);
  best.Keep(RefitScale(columns, wide));
  best.Keep(RefitScale(columns, below));
  return best;
}

// The f16 number of which all steps are nearest to being multiples, with the largest (in magnitude)
// at most the `most`-fold, with its sign. It is found exactly if there is one. (Not only the upper
// half of the multiples is tried: the half of a divisor may be a subnormal f16, of fewer bits.)
template <bool kMinima>
uint16_t CommonDivisor(const Lanes<kMinima>& steps, float most) {
  constexpr size_t kTrials = kMinima ? 240 : 112, kLanes = 16;
  const float top = Top(steps), highest = std::fabs(most);
  if (std::fabs(top) < kTiny) return 0;
  // All in parts of the largest step.
  alignas(64) float divisor[kTrials], inverse[kTrials], distance[kTrials] = {};
  for (size_t i = 0; i < kTrials; ++i) {
    // Nearly as f16, in which the largest step may be missed: in 11 bits or a multiple of 2^-24.
    const float exact = std::fabs(top) / (highest - static_cast<float>(static_cast<int32_t>(i)));
    const float high_bits = 8192 * exact, shift = high_bits > 0.5f ? high_bits : 0.5f;
    const float rounded = (exact + shift) - shift;
    divisor[i] = (rounded > 0x1p-24f ? rounded : 0x1p-24f) / std::fabs(top);
    inverse[i] = 1 / divisor[i];
  }
  for (const float step : steps) {
    const float ratio = step / top;
    for (size_t i = 0; i < kTrials; ++i) {
      const float t = ratio * inverse[i];
      const float d = ratio - divisor[i] * Round(t > highest ? highest : t);
      distance[i] = std::fma(d, d, distance[i]);
    }
  }
  std::array<float, kLanes> least;
  least.fill(kInfinity);
  for (size_t i = 0; i < kTrials; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) {
      least[j] = distance[i + j] < least[j] ? distance[i + j] : least[j];
    }
  }
  const float best = *std::ranges::min_element(least);
  const auto trial = static_cast<float>(std::ranges::find(distance, best) - distance);
  return ToScale(top / (most < 0 ? most + trial : most - trial));
}

// What is stored, but for the quants, and how well it does.
template <bool kMinima>
struct Stored {
  uint16_t scale = 0, minimum = 0;  // f16
  Lanes<kMinima> scales = {}, minima = {}, error = {};

  float Error() const { return Sum(error); }
  Steps<kMinima> Widened() const {
    Steps<kMinima> steps;
    const float d = F16ToF32(scale), dmin = F16ToF32(minimum);
    for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
      steps.scale[b] = d * scales[b];
      if constexpr (kMinima) steps.minimum[b] = -(dmin * minima[b]);
    }
    return steps;
  }
};

// The integers nearest to the steps. Where a scale is rounded, the minimum makes up for it, so that
// the block's mean stays.
template <bool kMinima>
Stored<kMinima> Store(const Columns<kMinima>& columns, const Fit<kMinima>& fit, uint16_t scale,
                      uint16_t minimum) {
  Stored<kMinima> stored = {.scale = scale, .minimum = minimum};
  const Range& range = columns.range;
  const float d = F16ToF32(scale), dmin = F16ToF32(minimum);
  const float inverse = Inverse(d), inverse_min = Inverse(dmin);
  for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
    const float step = fit.steps.scale[b];
    stored.scales[b] = Round(Clamp(step * inverse, range.low_scale, range.high_scale));
    if constexpr (kMinima) {
      const float moved = (d * stored.scales[b] - step) * fit.mean_quant[b];
      stored.minima[b] = Round(
          Clamp((moved - fit.steps.minimum[b]) * inverse_min, range.low_scale, range.high_scale));
    }
  }
  stored.error = FindMoments(columns, stored.Widened()).ee;
  return stored;
}

// With the integers around, each block its own.
template <bool kMinima>
Stored<kMinima> Refine(const Columns<kMinima>& columns, const Stored<kMinima>& center) {
  constexpr int kReach = kMinima ? 1 : 3, kReachMinima = kMinima ? 1 : 0;
  const Range& range = columns.range;
  Stored<kMinima> best = center, trial = center;
  for (int s = -kReach; s <= kReach; ++s) {
    for (int m = -kReachMinima; m <= kReachMinima; ++m) {
      if (s == 0 && m == 0) continue;
      for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
        trial.scales[b] =
            Clamp(center.scales[b] + static_cast<float>(s), range.low_scale, range.high_scale);
        if constexpr (kMinima)
          trial.minima[b] =
              Clamp(center.minima[b] + static_cast<float>(m), range.low_scale, range.high_scale);
      }
      trial.error = FindMoments(columns, trial.Widened()).ee;
      for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
        const bool better = trial.error[b] < best.error[b];
        best.error[b] = better ? trial.error[b] : best.error[b];
        best.scales[b] = better ? trial.scales[b] : best.scales[b];
        if constexpr (kMinima) best.minima[b] = better ? trial.minima[b] : best.minima[b];
      }
    }
  }
  return best;
}

template <bool kMinima>
Stored<kMinima> Search(const Columns<kMinima>& columns, const Ends<kMinima>& ends) {
  const float most = kMinima ? columns.range.high_scale : columns.range.low_scale;
  Fit<kMinima> fit;
  fit.steps = ends.At(columns.range.spans[0], 0, columns.range);  // the plain rule's
  const auto by_plain_rule = [&](float largest) {
    return Store(columns, fit, ToScale(Top(fit.steps.scale) / largest),
                 ToScale(-Top(fit.steps.minimum) / largest));
  };
  Stored<kMinima> best = by_plain_rule(most);
  const auto keep = [&](const Stored<kMinima>& other) {
    if (other.Error() < best.Error()) best = other;
  };
  if constexpr (kMinima) keep(by_plain_rule(63));
  if (best.Error() == 0) return best;
  fit = SearchSteps(columns, ends);
  uint16_t minimum = 0;
  if constexpr (kMinima) {
    minimum = CommonDivisor<kMinima>(fit.steps.minimum, -most);
    fit = SearchScales(columns, ends, fit, minimum);
  }
  const uint16_t scale = CommonDivisor<kMinima>(fit.steps.scale, most);
  keep(Refine(columns, Store(columns, fit, scale, minimum)));
  return best;
}

template <bool kMinima>
QuantizedSuperblock Quantize(WeightType type, const float* x, size_t count) {
  const Columns<kMinima> columns(type, x, count, 1);
  const Ends<kMinima> ends(columns);
  Stored<kMinima> best = Search(columns, ends);
  float sign = 1;
  // A minimum can be above 0 only where all are, and quants count downwards from them: where both
  // numbers of the superblock are negative.
  if (ends.above_zero) {
    const Columns<kMinima> opposite(type, x, count, -1);
    const Stored<kMinima> other = Search(opposite, Ends<kMinima>(opposite));
    if (other.Error() < best.Error()) {
      best = other;
      sign = -1;
    }
  }
  const Steps<kMinima> steps = best.Widened();
  const Range& range = columns.range;
  QuantizedSuperblock out = {};
  for (size_t b = 0; b < kBlocks<kMinima>; ++b) {
    const float inverse = Inverse(steps.scale[b]), minimum = steps.minimum[b];
    for (size_t k = b * kLength<kMinima>; k < (b + 1) * kLength<kMinima>; ++k) {
      const float q =
          k < count ? Quant<kMinima>(sign * x[k], inverse, minimum, range.low, range.high) : 0;
      out.quants[k] = static_cast<uint8_t>(static_cast<int32_t>(q - range.low));
    }
    out.scales[b] = static_cast<uint8_t>(static_cast<int32_t>(best.scales[b]));
    if constexpr (kMinima)
      out.minima[b] = static_cast<uint8_t>(static_cast<int32_t>(best.minima[b]));
  }
  const auto is_zero = [](float integer) { return integer == 0; };
  const uint16_t flip = sign < 0 ? kSignF16 : 0;
  if (!std::ranges::all_of(best.scales, is_zero)) out.scale = best.scale ^ flip;
  if (!std::ranges::all_of(best.minima, is_zero)) out.minimum = best.minimum ^ flip;
  return out;
}

}  // namespace

QuantizedSuperblock QuantizeSuperblock(WeightType type, const float* x, size_t count) {
  if (FindUnstorable(type, x, count) != count) {
    QuantizedSuperblock out = {};
    out.scale = kNaNF16;
    return out;
  }
  return HasMinima(type) ? Quantize<true>(type, x, count) : Quantize<false>(type, x, count);
}

}  // namespace tvl
