// How far the canonical order is from the true values: every operation against an oracle in long
// double, with bounds that follow from the number of roundings, not from what was seen. One backend
// suffices, since all give the same bits (tests/crossval); the suite is a template all the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/aligned_buffer.h"
#include "core/attention.h"
#include "core/kernel.h"
#include "core/kv_append.h"
#include "core/kv_slot.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "core/tile_weight.h"
#include "tests/support/quantized_buffer.h"
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

// What stands in the panels of a quantised matrix; the minimum is 0 where the type has none.
template <typename F>
Real ReadPanel(const TileMatrix& w, F&& read) {
  Real value = 0;
  WithWeightType(w.type, [&]<WeightType W>() {
    if constexpr (IsQuantized(W)) value = read.template operator()<W>();
  });
  return value;
}
Real QuantAt(const TileMatrix& w, size_t row, size_t k) {
  return ReadPanel(w, [&]<WeightType W>() {
    return static_cast<Real>(PanelQuant<W>(w.Panel(row / kPanelRows), row % kPanelRows, k));
  });
}
Real ScaleAt(const TileMatrix& w, size_t row, size_t k) {
  return ReadPanel(w, [&]<WeightType W>() {
    return Real{PanelScale<W>(w.Panel(row / kPanelRows), row % kPanelRows, k)};
  });
}
Real MinimumAt(const TileMatrix& w, size_t row, size_t k) {
  return ReadPanel(w, [&]<WeightType W>() {
    if constexpr (!HasMinima(W)) {
      return Real{0};
    } else {
      return Real{PanelMinimum<W>(w.Panel(row / kPanelRows), row % kPanelRows, k)};
    }
  });
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

// Against the exact product of the same quants, scales and minima.
TYPED_TEST(KernelAccuracyTest, QuantizedGemv) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const Fill fill : kFiniteFills) {
      const size_t block = ScaleBlock(type);
      for (const size_t cols : {1, 31, 64, 172, 768, 4096}) {
        const size_t rows = 20;
        const OwnedTiles w(type, rows, cols, fill, random);
        QuantizedBuffer x(1, cols);
        TypeParam::QuantizeActivations(Numbers(cols, fill, random).data(), cols, x.view());
        std::vector<float> y(rows);
        Gemv<TypeParam>(w.view(), {0, w.view().panels()}, {{}, x.view()}, y.data());
        for (size_t row = 0; row < rows; ++row) {
          // Of each block, and of its minimum: one rounding of the scale, one of the sum.
          Real exact = 0, magnitude = 0;
          for (size_t b = 0; b < DivideUp(cols, block); ++b) {
            const Real scale = x.scales()[b * block / kQuantBlock];
            Real product = 0, minimum = 0;
            for (size_t k = b * block; k < (b + 1) * block; ++k) {
              product += QuantAt(w.view(), row, k) * static_cast<Real>(x.quants()[k]);
              minimum += static_cast<Real>(x.quants()[k]);
            }
            product *= ScaleAt(w.view(), row, b * block) * scale;
            minimum *= MinimumAt(w.view(), row, b * block) * scale;
            exact += product + minimum;
            magnitude += std::fabs(product) + std::fabs(minimum);
          }
          const size_t terms = (HasMinima(type) ? 2 : 1) * DivideUp(cols, block);
          // A scale of a product may underflow before it is multiplied by a sum of up to 2^19.
          const Real underflow = static_cast<Real>(terms) * 0x1p19L * kTiny;
          ASSERT_LE(std::fabs(y[row] - exact), Roundings(terms + 1, magnitude) + underflow)
              << WeightTypeName(type) << " " << FillName(fill) << " " << cols << " row " << row;
        }
      }
    }
  }
}

// Half a step of the block's grid, which the roundings of 127 / a and of the product may shift.
TYPED_TEST(KernelAccuracyTest, QuantizeActivations) {
  Random random;
  for (const Fill fill : kFiniteFills) {
    for (const size_t n : {1, 31, 32, 33, 768}) {
      const std::vector<float> x = Numbers(n, fill, random);
      QuantizedBuffer out(1, n);
      TypeParam::QuantizeActivations(x.data(), n, out.view());
      for (size_t b = 0; b < DivideUp(n, kQuantBlock); ++b) {
        Real largest = 0;
        int32_t sum = 0;
        for (size_t i = b * kQuantBlock; i < std::min(n, (b + 1) * kQuantBlock); ++i) {
          largest = std::max(largest, std::fabs(Real{x[i]}));
          sum += out.quants()[i];
        }
        ASSERT_EQ(out.sums()[b], sum);
        const Real step = largest / 127, scale = out.scales()[b];
        if (largest < 0x1p-100L) {
          ASSERT_EQ(scale, 0);
          continue;
        }
        ASSERT_LE(std::fabs(scale - step), kU * step + kTiny);
        for (size_t i = b * kQuantBlock; i < std::min(n, (b + 1) * kQuantBlock); ++i) {
          const Real error = std::fabs(Real{x[i]} - scale * static_cast<Real>(out.quants()[i]));
          ASSERT_LE(error, step * (0.5L + 127 * 4 * kU)) << FillName(fill) << " " << i;
        }
      }
    }
  }
}

// Where blocks begin to count, by numbers and not by the constant that all backends share.
TYPED_TEST(KernelAccuracyTest, QuantizeActivationsFrom2ToTheMinus100) {
  QuantizedBuffer out(1, 1);
  for (const float sign : {1.0f, -1.0f}) {
    const float least = sign * 0x1p-100f, below = sign * 0x1.fffffep-101f;
    TypeParam::QuantizeActivations(&least, 1, out.view());
    EXPECT_EQ(out.scales()[0], 0x1p-100f / 127);
    EXPECT_EQ(static_cast<float>(out.quants()[0]), sign * 127);
    TypeParam::QuantizeActivations(&below, 1, out.view());
    EXPECT_EQ(out.scales()[0], 0);
    EXPECT_EQ(out.quants()[0], 0);
  }
}

// A row of the embedding: widened, or one rounding.
TYPED_TEST(KernelAccuracyTest, EmbedRow) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const Fill fill : kFiniteFills) {
      const size_t cols = 172;
      const OwnedTiles w(type, 20, cols, fill, random);
      for (size_t row = 0; row < 20; ++row) {
        std::vector<float> out(cols);
        EmbedRow<TypeParam>(w.view(), row, out.data());
        for (size_t k = 0; k < cols; ++k) {
          const Real exact =
              QuantAt(w.view(), row, k) * ScaleAt(w.view(), row, k) + MinimumAt(w.view(), row, k);
          ASSERT_LE(std::fabs(out[k] - exact), kU * std::fabs(exact) + kTiny);
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
    AlignedBuffer<std::byte> memory(KvSlot::Bytes(KvType::kF32, head_dim, kCapacity));
    const KvSlot slot =
        KvSlot::In(memory.data(), KvType::kF32, static_cast<uint32_t>(head_dim), kCapacity);
    std::vector<std::vector<float>> k;
    std::vector<std::vector<float>> v;
    for (size_t n = 1; n <= 300; ++n) {
      k.push_back(Numbers(head_dim, Fill::kNormal, random));
      v.push_back(Numbers(head_dim, Fill::kCancelling, random));
      AppendKey<TypeParam>(k.back().data(), n - 1, slot);
      AppendValue<TypeParam>(v.back().data(), n - 1, slot);
      if (n != 1 && n != 17 && n != 100 && n != 300) continue;
      const std::vector<float> q = Numbers(head_dim, Fill::kNormal, random);
      std::vector<float> scores(RoundUp(n, kDotChains));
      std::vector<float> out(head_dim);
      AttentionScratch scratch;
      scratch.scores = scores.data();
      scratch.scores_stride = scores.size();
      Attend<TypeParam>(slot, n, 1, 1, q.data(), head_dim, kScale, scratch, out.data(), head_dim);

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
