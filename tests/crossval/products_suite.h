// One answer, part 1: a backend's products with f32, f16 and bf16 weights, and their embedding
// rows, against scalar_reference, with ==.
#ifndef TVL_TESTS_CROSSVAL_PRODUCTS_SUITE_H_
#define TVL_TESTS_CROSSVAL_PRODUCTS_SUITE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/activations.h"
#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "tests/crossval/product_rows.h"
#include "tests/support/equality.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random.h"
#include "tests/support/tile_builder.h"

namespace tvl::testing {

// Inputs of a product: cols numbers, +0 up to the padding, poison beyond.
inline GuardedBuffer<float> Inputs(size_t cols, Fill fill, Random& random, size_t offset = 0) {
  GuardedBuffer<float> x(RoundUp(cols, kDotChains), offset);
  FillWith(fill, random, x.span().first(cols));
  return x;
}

inline OwnedTiles DenseCopy(const TileMatrix& w) {
  OwnedTiles copy(w.type, w.rows, w.cols);
  for (size_t row = 0; row < w.rows; ++row) {
    for (size_t col = 0; col < w.cols; ++col)
      SetWeight(copy.view(), row, col, WeightAt(w, row, col));
  }
  return copy;
}

template <typename K>
class ProductsTest : public ::testing::Test {
 protected:
  // The product over all panels, and over each range of panels, against the reference.
  static void ExpectGemvEqual(const TileMatrix& w, const float* x, bool every_range = false) {
    const std::vector<float> expected = Reference(w, x);
    const size_t panels = w.panels();
    for (size_t begin = 0; begin < (every_range ? panels : 1); ++begin) {
      for (size_t end = every_range ? begin : panels; end <= panels; ++end) {
        GuardedBuffer<float> y(w.rows, 3);
        y.PoisonData();
        Gemv<K>(w, {begin, end}, {{x, 0}, {}}, y.data());
        const size_t first = begin * kPanelRows;
        const size_t last = end * kPanelRows < w.rows ? end * kPanelRows : w.rows;
        if (first < last) {
          ASSERT_TRUE(AllEqual(std::span(expected).subspan(first, last - first),
                               y.span().subspan(first, last - first)))
              << "panels " << begin << " to " << end;
          ASSERT_TRUE(IsPoison(y.data(), first * sizeof(float)));
          ASSERT_TRUE(IsPoison(y.data() + last, (w.rows - last) * sizeof(float)));
        }
        ASSERT_TRUE(y.GuardsIntact());
      }
    }
  }

  // tokens rows of x, of stride x_stride. They go into batches with poison in the rows of the last
  // one that are not used, and between rows.
  static void ExpectGemmEqual(const TileMatrix& w, PanelRange panels, const float* x,
                              size_t x_stride, size_t tokens) {
    const size_t y_stride = w.rows + 5;
    GuardedBuffer<float> y(tokens * y_stride, 1);
    y.PoisonData();
    const size_t padded = RoundUp(w.cols, kDotChains);
    const size_t stride = padded + kDotChains * (tokens % 3);
    GuardedBuffer<float> batches(RoundUp(tokens, K::kFloatBatch) * stride, tokens % 4);
    batches.PoisonData();
    for (size_t t = 0; t < tokens; t += K::kFloatBatch) {
      PlaceRows<K::kFloatBatch>(x + t * x_stride, x_stride, std::min(K::kFloatBatch, tokens - t),
                                w.cols, padded, 0, t, batches.data(), stride);
    }
    const float* input = tokens == 1 ? x : batches.data();
    Gemm<K>(w, panels, {{input, stride}, {}}, tokens, y.data(), y_stride);
    ASSERT_TRUE(batches.GuardsIntact());
    ExpectRows(y, y_stride, w.rows, panels, tokens,
               [&](size_t t) { return Reference(w, x + t * x_stride); });
  }

  static std::vector<float> Reference(const TileMatrix& w, const float* x) {
    std::vector<float> y(w.rows);
    Gemv<ScalarReference>(w, {0, w.panels()}, {{x, 0}, {}}, y.data());
    return y;
  }
};

TYPED_TEST_SUITE_P(ProductsTest);

TYPED_TEST_P(ProductsTest, GemvOfEveryShape) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const size_t rows : {1, 2, 15, 16, 17, 31, 32, 33, 48, 172}) {
      for (const size_t cols : {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 33, 64, 172, 260}) {
        for (const Fill fill : {Fill::kNormal, Fill::kCancelling}) {
          SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << rows << "x" << cols
                                            << " " << FillName(fill));
          const OwnedTiles w(type, rows, cols, fill, random);
          const GuardedBuffer<float> x = Inputs(cols, fill, random, random.Below(4));
          ASSERT_NO_FATAL_FAILURE(this->ExpectGemvEqual(w.view(), x.data()));
        }
      }
    }
  }
}

TYPED_TEST_P(ProductsTest, GemvOfEveryKindOfNumber) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const size_t cols : {5, 16, 172}) {
      for (const Fill weights : kFills) {
        for (const Fill inputs : kFills) {
          SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << cols << " "
                                            << FillName(weights) << " by " << FillName(inputs));
          const OwnedTiles w(type, 50, cols, weights, random);
          const GuardedBuffer<float> x = Inputs(cols, inputs, random);
          ASSERT_NO_FATAL_FAILURE(this->ExpectGemvEqual(w.view(), x.data()));
        }
      }
    }
  }
}

TYPED_TEST_P(ProductsTest, GemvOfEveryRangeOfPanels) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const size_t rows : {16, 33, 100}) {
      const OwnedTiles w(type, rows, 20, Fill::kCancelling, random);
      const GuardedBuffer<float> x = Inputs(20, Fill::kCancelling, random);
      ASSERT_NO_FATAL_FAILURE(this->ExpectGemvEqual(w.view(), x.data(), /*every_range=*/true));
    }
  }
}

// Panels that do not follow each other, with poison between them; and rows of the padding that hold
// poison, as those of the K cache may.
TYPED_TEST_P(ProductsTest, GemvReadsNothingBetweenPanelsAndKeepsPaddingRowsApart) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const size_t gap : {64, 4096, 65536}) {
      const OwnedTiles w(type, 42, 36, gap);
      FillWeights(w.view(), Fill::kNormal, random);
      for (size_t row = 42; row < 48; ++row) {
        for (size_t col = 0; col < 36; ++col)
          SetWeight(w.view(), row, col, std::numeric_limits<float>::quiet_NaN());
      }
      const GuardedBuffer<float> x = Inputs(36, Fill::kNormal, random);
      ASSERT_NO_FATAL_FAILURE(this->ExpectGemvEqual(w.view(), x.data(), /*every_range=*/true));
      const GuardedBuffer<float> batch = Inputs(5 * 36, Fill::kNormal, random);
      ASSERT_NO_FATAL_FAILURE(this->ExpectGemmEqual(w.view(), {0, 3}, batch.data(), 36, 5));
    }
  }
}

TYPED_TEST_P(ProductsTest, GemvOfInterleavedPairs) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const size_t rows : {8, 32, 40, 80, 172}) {
      const OwnedTilePair pair(type, rows, 24);
      FillWeights(pair.view().first, Fill::kCancelling, random);
      FillWeights(pair.view().second, Fill::kCancelling, random);
      const GuardedBuffer<float> x = Inputs(24, Fill::kCancelling, random);
      for (const TileMatrix& w : {pair.view().first, pair.view().second}) {
        const OwnedTiles dense = DenseCopy(w);
        const std::vector<float> expected = this->Reference(dense.view(), x.data());
        ASSERT_TRUE(AllEqual(expected, this->Reference(w, x.data())));
        ASSERT_NO_FATAL_FAILURE(this->ExpectGemvEqual(w, x.data(), /*every_range=*/true));
      }
    }
  }
}

TYPED_TEST_P(ProductsTest, GemmOfEveryNumberOfTokens) {
  Random random;
  const size_t kTokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 25, 33};
  struct Shape {
    size_t rows, cols;
  };
  for (const WeightType type : kFloatTypes) {
    for (const Shape& shape : {Shape{1, 1}, {17, 6}, {33, 64}, {16, 128}, {20, 132}, {15, 260}}) {
      for (const size_t tokens : kTokens) {
        SCOPED_TRACE(::testing::Message()
                     << WeightTypeName(type) << " " << shape.rows << "x" << shape.cols);
        const OwnedTiles w(type, shape.rows, shape.cols, Fill::kCancelling, random);
        const size_t stride = RoundUp(shape.cols, kDotChains) + tokens % 3;
        GuardedBuffer<float> x((tokens - 1) * stride + RoundUp(shape.cols, kDotChains),
                               random.Below(4));
        x.PoisonData();
        for (size_t t = 0; t < tokens; ++t) {
          const std::span<float> row =
              x.span().subspan(t * stride, RoundUp(shape.cols, kDotChains));
          for (float& value : row) value = 0;
          FillWith(Fill::kCancelling, random, row.first(shape.cols));
        }
        ASSERT_NO_FATAL_FAILURE(
            this->ExpectGemmEqual(w.view(), {0, w.view().panels()}, x.data(), stride, tokens));
      }
    }
  }
}

// Beyond the groups of tokens and blocks of inputs that a backend may cut a product into.
TYPED_TEST_P(ProductsTest, GemmOfManyTokensAndInputs) {
  Random random;
  struct Shape {
    size_t cols, tokens;
  };
  for (const WeightType type : kFloatTypes) {
    for (const Shape& shape : {Shape{24, 121}, {24, 277}, {1024, 13}, {1028, 14}, {2052, 25}}) {
      SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << shape.cols);
      const OwnedTiles w(type, 40, shape.cols, Fill::kCancelling, random);
      const GuardedBuffer<float> x = Inputs(shape.cols * shape.tokens, Fill::kCancelling, random);
      ASSERT_NO_FATAL_FAILURE(
          this->ExpectGemmEqual(w.view(), {0, 3}, x.data(), shape.cols, shape.tokens));
    }
  }
}

TYPED_TEST_P(ProductsTest, GemmOfEveryKindOfNumberAndRange) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const Fill weights : kFills) {
      for (const Fill inputs : kFills) {
        SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << FillName(weights)
                                          << " by " << FillName(inputs));
        const OwnedTiles w(type, 42, 40, weights, random);
        const GuardedBuffer<float> x = Inputs(40 * 7, inputs, random);
        for (const PanelRange range : {PanelRange{0, 3}, {0, 1}, {1, 3}, {2, 3}, {1, 1}}) {
          ASSERT_NO_FATAL_FAILURE(this->ExpectGemmEqual(w.view(), range, x.data(), 40, 7));
        }
      }
    }
  }
}

// One pattern to a row: a NaN keeps to itself.
TYPED_TEST_P(ProductsTest, EveryWeightOf16Bits) {
  constexpr size_t kPatterns = 65536;
  Random random;
  for (const WeightType type : {WeightType::kF16, WeightType::kBF16}) {
    SCOPED_TRACE(WeightTypeName(type));
    const OwnedTiles w(type, kPatterns, 4);
    for (size_t i = 0; i < kPatterns; ++i)
      SetWeightBits(w.view(), i, i % 4, static_cast<uint16_t>(i));
    const GuardedBuffer<float> x = Inputs(4 * 3, Fill::kNormal, random);
    ASSERT_NO_FATAL_FAILURE(this->ExpectGemvEqual(w.view(), x.data()));
    ASSERT_NO_FATAL_FAILURE(
        this->ExpectGemmEqual(w.view(), {0, w.view().panels()}, x.data(), 4, 3));

    GuardedBuffer<float> ones(4);
    for (float& one : ones.span()) one = 1;
    std::vector<float> widened(kPatterns);
    Gemv<TypeParam>(w.view(), {0, w.view().panels()}, {{ones.data(), 0}, {}}, widened.data());
    for (size_t i = 0; i < kPatterns; ++i) {
      const uint16_t bits = static_cast<uint16_t>(i);
      const float expected = type == WeightType::kF16 ? F16ToF32(bits) : BF16ToF32(bits);
      ASSERT_TRUE(Equal(widened[i], expected)) << std::hex << i;
      float row[4];
      EmbedRow<TypeParam>(w.view(), i, row);
      ASSERT_TRUE(Equal(row[i % 4], expected)) << std::hex << i;
    }
  }
}

TYPED_TEST_P(ProductsTest, EmbeddingRows) {
  Random random;
  for (const WeightType type : kFloatTypes) {
    for (const size_t cols : {1, 3, 4, 5, 16, 17, 64, 172}) {
      const OwnedTiles w(type, 35, cols, Fill::kSpecial, random);
      for (size_t row = 0; row < 35; ++row) {
        std::vector<float> expected(cols);
        EmbedRow<ScalarReference>(w.view(), row, expected.data());
        GuardedBuffer<float> out(cols, row % 4);
        EmbedRow<TypeParam>(w.view(), row, out.data());
        ASSERT_TRUE(AllEqual(expected, out.span()));
        ASSERT_TRUE(out.GuardsIntact());
      }
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(ProductsTest, GemvOfEveryShape, GemvOfEveryKindOfNumber,
                            GemvOfEveryRangeOfPanels,
                            GemvReadsNothingBetweenPanelsAndKeepsPaddingRowsApart,
                            GemvOfInterleavedPairs, GemmOfEveryNumberOfTokens,
                            GemmOfManyTokensAndInputs, GemmOfEveryKindOfNumberAndRange,
                            EveryWeightOf16Bits, EmbeddingRows);

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_PRODUCTS_SUITE_H_
