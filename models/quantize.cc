#include "models/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "core/canonical_math.h"
#include "core/float16.h"

namespace tvl {
namespace {

constexpr uint16_t kInfinityF16 = 0x7c00, kNaNF16 = 0x7e00, kSignF16 = 0x8000;

// What a type's integers can be: weight = scale * quant, plus the minimum where there is one.
struct QuantRange {
  float low;
  float high;
  bool has_minimum;
};

constexpr QuantRange RangeOf(WeightType type) {
  switch (type) {
    case WeightType::kQ8:
      return {-127, 127, false};
    case WeightType::kQ4:
      return {-8, 7, false};
    default:
      return {0, 15, true};
  }
}

// Always 32 numbers long, so that the loops below are vectorised: numbers beyond the count are 0
// and not used.
struct Block {
  Block(const float* numbers, size_t n) : count(static_cast<float>(n)) {
    for (size_t i = 0; i < n; ++i) {
      x[i] = numbers[i];
      used[i] = 1;
    }
  }
  alignas(64) float x[kQuantBlock] = {};
  alignas(64) float used[kQuantBlock] = {};  // 1 or 0
  float count;
};

// In one order on every machine, by halves.
float Sum(const float (&terms)[kQuantBlock]) {
  float s[kQuantBlock / 2];
  for (size_t i = 0; i < 16; ++i) s[i] = terms[i] + terms[i + 16];
  for (size_t i = 0; i < 8; ++i) s[i] += s[i + 8];
  for (size_t i = 0; i < 4; ++i) s[i] += s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}

// Scale and minimum as f16 bits.
struct Steps {
  uint16_t scale = 0;
  uint16_t minimum = 0;

  bool finite() const {
    return (scale & kInfinityF16) != kInfinityF16 && (minimum & kInfinityF16) != kInfinityF16;
  }
};

// The nearest f16, without a negative zero.
uint16_t ToF16(float number) {
  const uint16_t bits = F32ToF16(number);
  return bits == kSignF16 ? 0 : bits;
}

// The same for a scale, where a number that is not 0 stays so.
uint16_t ToScale(float number) {
  const uint16_t bits = ToF16(number);
  if (bits != 0 || number == 0) return bits;
  return number < 0 ? kSignF16 | 1 : 1;
}

// What rounds a number to its quant, with the steps taken apart.
struct Rounding {
  Rounding(const QuantRange& range, const Steps& steps)
      : scale(F16ToF32(steps.scale)),
        minimum(F16ToF32(steps.minimum)),
        inverse(scale == 0 ? 0 : 1 / scale),
        low(range.low),
        high(range.high) {}

  // An integer. (Comparisons rather than std::clamp, whose references keep loops from vectors.)
  float Quant(float x) const {
    const float t = (x - minimum) * inverse;
    const float above = t < low ? low : t;
    return static_cast<float>(RoundToInt(above > high ? high : above));
  }
  float Weight(float quant) const { return std::fma(quant, scale, minimum); }

  const float scale, minimum, inverse, low, high;
};

// How well a choice of steps does, and what its quants suggest.
struct Fit {
  Steps steps;
  float error = std::numeric_limits<float>::infinity();  // sum of squares
  // The steps that would be best for the same quants, and the error before they are rounded to f16.
  float refit_scale = 0;
  float refit_minimum = 0;
  float refit_error = std::numeric_limits<float>::infinity();
};

Fit Evaluate(const Block& block, const QuantRange& range, const Steps& steps) {
  const Rounding rounding(range, steps);
  alignas(64) float q[kQuantBlock], e[kQuantBlock];
  alignas(64) float ee[kQuantBlock], qe[kQuantBlock], qq[kQuantBlock];
  for (size_t i = 0; i < kQuantBlock; ++i) {
    q[i] = rounding.Quant(block.x[i]) * block.used[i];
    e[i] = (block.x[i] - rounding.Weight(q[i])) * block.used[i];
    ee[i] = e[i] * e[i];
    qe[i] = q[i] * e[i];
    qq[i] = q[i] * q[i];
  }
  Fit fit = {.steps = steps, .error = Sum(ee)};
  // Least squares for what the errors still have in common with the quants.
  const float sum_qe = Sum(qe), sum_qq = Sum(qq);
  float scale_step = 0, minimum_step = 0;
  if (range.has_minimum) {
    const float sum_q = Sum(q), sum_e = Sum(e), n = block.count;
    const float determinant = sum_qq * n - sum_q * sum_q;  // of integers, exact
    if (determinant > 0) scale_step = (sum_qe * n - sum_q * sum_e) / determinant;
    minimum_step = (sum_e - scale_step * sum_q) / n;
    fit.refit_error = fit.error - scale_step * sum_qe - minimum_step * sum_e;
  } else {
    if (sum_qq > 0) scale_step = sum_qe / sum_qq;
    fit.refit_error = fit.error - scale_step * sum_qe;
  }
  fit.refit_scale = rounding.scale + scale_step;
  fit.refit_minimum = rounding.minimum + minimum_step;
  return fit;
}

// Keeps the best of what is tried, the first of equals.
class Search {
 public:
  Search(const Block& block, const QuantRange& range) : block_(block), range_(range) {}

  void Try(float scale, float minimum = 0) { Try(Steps{ToScale(scale), ToF16(minimum)}); }
  void Try(const Steps& steps) {
    if (steps.finite()) Keep(Evaluate(block_, range_, steps));
  }

  // Goes on from the most promising of what was tried, by turns with the best steps for the quants
  // and the best quants for the steps.
  void Refine() {
    constexpr int kRounds = 4;
    float before = std::numeric_limits<float>::infinity();
    for (int i = 0; i < kRounds && promising_.refit_error < before; ++i) {
      const Steps steps = {ToScale(promising_.refit_scale), ToF16(promising_.refit_minimum)};
      if (!steps.finite()) return;
      before = promising_.refit_error;
      const Fit fit = Evaluate(block_, range_, steps);
      if (fit.error < best_.error) best_ = fit;
      promising_ = fit;
    }
  }

  bool exact() const { return best_.error == 0; }
  const Steps& best() const { return best_.steps; }

 private:
  void Keep(const Fit& fit) {
    if (fit.error < best_.error) best_ = fit;
    if (fit.refit_error < promising_.refit_error) promising_ = fit;
  }

  const Block& block_;
  const QuantRange range_;
  Fit best_, promising_;
};

// Quants that the largest magnitude is tried as: the plain rule's, then others of more clipping and
// less. Each trial moves all numbers against the steps, and where they come to lie decides. Over
// trained weights the squared error that is left is within 4% (q8), 0.5% (q4) and 1.5% (q4m) of the
// least that a fine grid of scales finds; twice as many trials gained half a percent.
constexpr float kTopsQ8[] = {127.0f,  127.5f, 126.5f, 126.0f, 125.5f, 125.0f, 124.5f, 124.0f,
                             123.25f, 122.5f, 121.5f, 120.5f, 119.5f, 118.5f, 117.0f, 115.5f};
constexpr float kTopsQ4[] = {-8.0f, 8.0f, 7.0f, -7.0f, -8.5f, -9.0f, -7.5f, -6.5f, -6.0f, -5.0f,
                             7.5f,  6.5f, 6.0f, 5.5f,  5.0f,  4.0f,  3.0f,  2.0f,  1.0f};
// Quants between the lowest and the highest number.
constexpr float kSpansQ4M[] = {15.0f, 15.5f, 16.0f, 17.0f, 14.5f, 14.0f, 13.0f};

void SearchScale(const Block& block, WeightType type, Search& search) {
  // Where it is largest in magnitude; the first of equals.
  float top = 0;
  for (const float x : block.x) {
    if (std::fabs(x) > std::fabs(top)) top = x;
  }
  const bool q8 = type == WeightType::kQ8;
  for (const float quant : q8 ? std::span<const float>(kTopsQ8) : kTopsQ4) {
    search.Try((q8 ? std::fabs(top) : top) / quant);
    if (search.exact()) return;
  }
}

void SearchScaleAndMinimum(const Block& block, Search& search) {
  float low = block.x[0], high = block.x[0];
  for (size_t i = 1; i < kQuantBlock; ++i) {
    if (block.used[i] == 0) continue;
    low = std::min(low, block.x[i]);
    high = std::max(high, block.x[i]);
  }
  const float range = high - low;
  search.Try(range / 15, low);
  if (search.exact()) return;
  // Far from 0 the steps between f16 numbers are wide, and only upwards is there anything but the
  // minimum.
  uint16_t below = ToF16(low);
  if (F16ToF32(below) > low) below = low > 0 ? below - 1 : below == 0 ? kSignF16 | 1 : below + 1;
  search.Try({ToScale((high - F16ToF32(below)) / 15), below});
  for (const float span : kSpansQ4M) {
    const float scale = range / span;
    const float slack = range - 15 * scale;  // of what is beyond the quants, if above 0
    for (const float part : {0.0f, 0.5f, 1.0f}) search.Try(scale, low + part * slack);
  }
}

}  // namespace

size_t FindUnstorable(WeightType type, const float* row, size_t cols) {
  const float largest = LargestWeight(type);
  for (size_t i = 0; i < cols; ++i) {
    if (!(std::fabs(row[i]) <= largest)) return i;
  }
  return cols;
}

QuantizedBlock QuantizeBlock(WeightType type, const float* x, size_t count) {
  if (FindUnstorable(type, x, count) != count)
    return {.quants = {}, .scale = kNaNF16, .minimum = 0};
  const QuantRange range = RangeOf(type);
  const Block block(x, count);
  Search search(block, range);
  if (range.has_minimum) {
    SearchScaleAndMinimum(block, search);
  } else {
    SearchScale(block, type, search);
  }
  search.Refine();
  QuantizedBlock out = {
      .quants = {}, .scale = search.best().scale, .minimum = search.best().minimum};
  const Rounding rounding(range, search.best());
  const float zero = type == WeightType::kQ4 ? 8 : 0;
  for (size_t i = 0; i < kQuantBlock; ++i) {
    out.quants[i] = static_cast<int8_t>(rounding.Quant(block.x[i]) * block.used[i] + zero);
  }
  return out;
}

}  // namespace tvl
