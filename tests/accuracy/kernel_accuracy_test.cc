// How far the canonical order is from the true values: every operation against an oracle in long
// double, with bounds that follow from the number of roundings, not from what was seen. One backend
// suffices, since all give the same bits (tests/crossval); the suite is a template all the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/attention.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tile.h"
#include "tests/support/random.h"
#include "tests/support/tile_builder.h"

namespace tvl::testing {
namespace {

using Real = long double;

// Half an ulp of 1: the relative error of one rounding to f32.
constexpr Real kU = 0x1p-24L;
// Half the least subnormal: the absolute error of one rounding that underflows.
constexpr Real kTiny = 0x1p-150L;
// (1 + u)^m - 1 <= kSecondOrder * m * u for all m that occur here.
constexpr Real kSecondOrder = 1.001L;

// Bound for m roundings in a row of terms whose magnitudes sum up to `magnitude`.
Real Roundings(size_t m, Real magnitude) {
  return static_cast<Real>(m) * (kSecondOrder * kU * magnitude + kTiny);
}

size_t DivideUp(size_t n, size_t by) { return (n + by - 1) / by; }

// The dot: a chain of ceil(K / 4) fma, then two additions.
size_t DotRoundings(size_t cols) { return DivideUp(cols, kDotChains) + 2; }
// The sum over 16 lanes: a chain of ceil(n / 16), then four additions.
size_t LaneRoundings(size_t n) { return DivideUp(n, kPanelRows) + 4; }

std::vector<float> Numbers(size_t n, Fill fill, Random& random) {
  std::vector<float> x(n);
  FillWith(fill, random, x);
  return x;
}

template <typename K>
class KernelAccuracyTest : public ::testing::Test {};

using Backends = ::testing::Types<ScalarReference>;
TYPED_TEST_SUITE(KernelAccuracyTest, Backends);

TYPED_TEST(KernelAccuracyTest, Gemv) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const Fill fill : kFiniteFills) {
      for (const size_t cols : {1, 3, 4, 17, 172, 768, 4096}) {
        const size_t rows = 20;
        const OwnedTiles w(type, rows, cols, fill, random);
        std::vector<float> x = Numbers(cols, fill, random);
        x.resize(RoundUp(cols, kDotChains));
        std::vector<float> y(rows);
        Gemv<TypeParam>(w.view(), {0, w.view().panels()}, {{x.data(), 0}, {}}, y.data());
        for (size_t row = 0; row < rows; ++row) {
          Real exact = 0;
          Real magnitude = 0;
          for (size_t k = 0; k < cols; ++k) {
            const Real product = Real{WeightAt(w.view(), row, k)} * x[k];
            exact += product;
            magnitude += std::fabs(product);
          }
          ASSERT_LE(std::fabs(y[row] - exact), Roundings(DotRoundings(cols), magnitude))
              << WeightTypeName(type) << " " << FillName(fill) << " cols " << cols;
        }
      }
    }
  }
}

TYPED_TEST(KernelAccuracyTest, RmsNorm) {
  Random random;
  constexpr float kEpsilon = 1e-5f;
  for (const size_t n : {1, 15, 16, 64, 288, 768, 4096}) {
    const std::vector<float> x = Numbers(n, Fill::kCancelling, random);
    const std::vector<float> weight = Numbers(n, Fill::kNormal, random);
    std::vector<float> y(n);
    TypeParam::RmsNorm(x.data(), weight.data(), n, kEpsilon, y.data());
    Real squares = 0;
    for (const float value : x) squares += Real{value} * value;
    const Real r = 1 / std::sqrt(squares / static_cast<Real>(n) + kEpsilon);
    // Half of the roundings under the root (the sum's, the division, the addition: all of positive
    // numbers), then those of root, reciprocal and two products.
    const size_t roundings = DivideUp(LaneRoundings(n) + 2, 2) + 4;
    for (size_t i = 0; i < n; ++i) {
      const Real exact = x[i] * r * weight[i];
      ASSERT_LE(std::fabs(y[i] - exact), Roundings(roundings, std::fabs(exact))) << "n " << n;
    }
  }
}

TYPED_TEST(KernelAccuracyTest, Rope) {
  Random random;
  for (const size_t dims : {2, 8, 64, 128}) {
    const std::vector<float> x = Numbers(dims, Fill::kCancelling, random);
    const size_t half = dims / 2;
    std::vector<float> cos(half);
    std::vector<float> sin(half);
    for (size_t i = 0; i < half; ++i) {
      const double angle = 3.0 * random.Uniform();
      cos[i] = static_cast<float>(std::cos(angle));
      sin[i] = static_cast<float>(std::sin(angle));
    }
    std::vector<float> y(dims);
    TypeParam::Rope(x.data(), cos.data(), sin.data(), dims, y.data());
    for (size_t i = 0; i < half; ++i) {
      const Real ac = Real{x[i]} * cos[i];
      const Real as = Real{x[i]} * sin[i];
      const Real bc = Real{x[i + half]} * cos[i];
      const Real bs = Real{x[i + half]} * sin[i];
      ASSERT_LE(std::fabs(y[i] - (ac - bs)), Roundings(2, std::fabs(ac) + std::fabs(bs)));
      ASSERT_LE(std::fabs(y[i + half] - (as + bc)), Roundings(2, std::fabs(as) + std::fabs(bc)));
    }
  }
}

// Softmax in long double of scores z, and the relative error that the canonical order may add to
// each probability.
struct ExactSoftmax {
  explicit ExactSoftmax(std::span<const Real> z) : p(z.size()), bound(z.size()) {
    const Real max = *std::max_element(z.begin(), z.end());
    Real sum = 0;
    Real depth = 0;  // mean of max - z, by probability
    for (size_t i = 0; i < z.size(); ++i) {
      p[i] = std::exp(z[i] - max);
      sum += p[i];
      depth += p[i] * (max - z[i]);
    }
    depth /= sum;
    for (size_t i = 0; i < z.size(); ++i) {
      p[i] /= sum;
      // An error of d * u in d = z - max is one of d * u, relative, in e^d; Exp adds an ulp, that
      // is up to 2 u. Both again, averaged, in the total; then the total's sum, the reciprocal and
      // the product.
      const Real roundings =
          (max - z[i]) + 2 + depth + 2 + static_cast<Real>(LaneRoundings(z.size())) + 2;
      bound[i] = kSecondOrder * roundings * kU + static_cast<Real>(z.size()) * kCut;
    }
  }

  // e^-72: what is further down is dropped.
  static constexpr Real kCut = 5.4e-32L;

  std::vector<Real> p;
  std::vector<Real> bound;
};

TYPED_TEST(KernelAccuracyTest, Softmax) {
  Random random;
  for (const size_t n : {1, 2, 5, 16, 100, 1024}) {
    for (const float scale : {0.125f, 1.0f, 20.0f}) {
      std::vector<float> s = Numbers(n, Fill::kNormal, random);
      std::vector<Real> z;
      // The product with the scale is rounded first; its error is judged with attention, below.
      for (const float value : s) z.push_back(value * scale);
      const ExactSoftmax exact(z);
      s.resize(RoundUp(n, kDotChains));
      TypeParam::Softmax(s.data(), n, scale);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_LE(std::fabs(s[i] - exact.p[i]), exact.p[i] * exact.bound[i] + ExactSoftmax::kCut)
            << "n " << n << " scale " << scale;
      }
    }
  }
}

TYPED_TEST(KernelAccuracyTest, SwiGlu) {
  Random random;
  std::vector<float> g = {0, 1, -1, 20, -20, 80, -80, 87, -87, 88, -88, 89, -89, 1000, -1000};
  for (int i = 0; i < 20000; ++i) g.push_back(100 * random.Uniform());
  const std::vector<float> u = Numbers(g.size(), Fill::kCancelling, random);
  std::vector<float> y(g.size());
  TypeParam::SwiGlu(g.data(), u.data(), g.size(), y.data());
  for (size_t i = 0; i < g.size(); ++i) {
    const Real gate = g[i] / (1 + std::exp(-Real{g[i]}));
    // An ulp of Exp, the addition, the division and the product. Beyond Exp's range the gate is 0
    // instead of at most 88.4 * e^-88.4.
    ASSERT_LE(std::fabs(y[i] - gate * u[i]),
              Roundings(5, std::fabs(gate * u[i])) + 4e-37L * std::fabs(Real{u[i]}))
        << "g " << g[i] << " u " << u[i];
  }
}

TYPED_TEST(KernelAccuracyTest, Add) {
  Random random;
  const std::vector<float> x = Numbers(1000, Fill::kCancelling, random);
  const std::vector<float> y = Numbers(1000, Fill::kCancelling, random);
  std::vector<float> sum = y;
  TypeParam::Add(x.data(), x.size(), sum.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const Real exact = Real{x[i]} + y[i];
    ASSERT_LE(std::fabs(sum[i] - exact), Roundings(1, std::fabs(exact)));
  }
}

TYPED_TEST(KernelAccuracyTest, Attention) {
  Random random;
  constexpr size_t kCapacity = 320;
  constexpr float kScale = 0.3f;
  for (const size_t head_dim : {8, 64, 128}) {
    std::vector<float> keys(KvSlot::KeyFloats(head_dim, kCapacity));
    std::vector<float> values(KvSlot::ValueFloats(head_dim, kCapacity));
    const KvSlot slot = {keys.data(), values.data(), static_cast<uint32_t>(head_dim), kCapacity};
    std::vector<std::vector<float>> k;
    std::vector<std::vector<float>> v;
    for (size_t n = 1; n <= 300; ++n) {
      k.push_back(Numbers(head_dim, Fill::kNormal, random));
      v.push_back(Numbers(head_dim, Fill::kCancelling, random));
      TypeParam::AppendKey(k.back().data(), n - 1, slot);
      TypeParam::AppendValue(v.back().data(), n - 1, slot);
      if (n != 1 && n != 17 && n != 100 && n != 300) continue;
      const std::vector<float> q = Numbers(head_dim, Fill::kNormal, random);
      std::vector<float> scores(RoundUp(n, kDotChains));
      std::vector<float> out(head_dim);
      Attend<TypeParam>(slot, n, q.data(), head_dim, 1, kScale, scores.data(), scores.size(),
                        out.data(), head_dim);

      std::vector<Real> z(n);
      Real score_error = 0;  // of any score, absolute: a product, then the scale
      for (size_t i = 0; i < n; ++i) {
        Real magnitude = 0;
        for (size_t d = 0; d < head_dim; ++d) {
          z[i] += Real{k[i][d]} * q[d] * kScale;
          magnitude += std::fabs(Real{k[i][d]} * q[d] * kScale);
        }
        score_error = std::max(score_error, Roundings(DotRoundings(head_dim) + 1, magnitude));
      }
      const ExactSoftmax exact(z);
      for (size_t d = 0; d < head_dim; ++d) {
        Real mean = 0;
        Real bound = 0;
        Real magnitude = 0;
        for (size_t i = 0; i < n; ++i) {
          const Real term = exact.p[i] * v[i][d];
          mean += term;
          magnitude += std::fabs(term);
          // An error of e in every score is one of 2e, relative, in a probability.
          bound += std::fabs(term) * (exact.bound[i] + 2 * kSecondOrder * score_error) +
                   ExactSoftmax::kCut * std::fabs(Real{v[i][d]});
        }
        bound += Roundings(DotRoundings(n), kSecondOrder * magnitude);
        ASSERT_LE(std::fabs(out[d] - mean), bound) << "head_dim " << head_dim << " n " << n;
      }
    }
  }
}

}  // namespace
}  // namespace tvl::testing
