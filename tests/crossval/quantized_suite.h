// One answer, part 2: a backend's quantisation of activations and its products with weights of the
// quantised types, and their embedding rows, against scalar_reference, with ==.
#ifndef TVL_TESTS_CROSSVAL_QUANTIZED_SUITE_H_
#define TVL_TESTS_CROSSVAL_QUANTIZED_SUITE_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/activations.h"
#include "core/batches.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "tests/crossval/product_rows.h"
#include "tests/support/equality.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/quantized_buffer.h"
#include "tests/support/random.h"
#include "tests/support/tile_builder.h"

namespace tvl::testing {

template <typename K>
class QuantizedTest : public ::testing::Test {
 protected:
  // Inputs by the reference's quantisation, so that a fault of K's shows in a test of its own.
  static QuantizedBuffer Inputs(size_t rows, size_t cols, Fill fill, Random& random) {
    QuantizedBuffer x(rows, cols);
    std::vector<float> row(cols);
    for (size_t t = 0; t < rows; ++t) {
      FillWith(fill, random, row);
      ScalarReference::QuantizeActivations(row.data(), cols, x.view().From(t));
    }
    return x;
  }

  static void ExpectQuantizedEqual(std::span<const float> numbers, size_t offset) {
    const size_t n = numbers.size();
    GuardedBuffer<float> x(n, offset);
    for (size_t i = 0; i < n; ++i) x[i] = numbers[i];
    QuantizedBuffer expected(1, n), actual(1, n);
    actual.PoisonData();
    ScalarReference::QuantizeActivations(x.data(), n, expected.view());
    K::QuantizeActivations(x.data(), n, actual.view());
    // Blocks that n does not touch are not written.
    const size_t blocks = (n + kQuantBlock - 1) / kQuantBlock;
    for (size_t i = 0; i < blocks * kQuantBlock; ++i)
      ASSERT_EQ(int{expected.quants()[i]}, int{actual.quants()[i]}) << "quant " << i;
    ASSERT_TRUE(
        AllEqual(expected.scales().span().first(blocks), actual.scales().span().first(blocks)));
    for (size_t b = 0; b < blocks; ++b) {
      ASSERT_EQ(expected.sums()[b], actual.sums()[b]);
      ASSERT_EQ(expected.half_sums()[b], actual.half_sums()[b]);
    }
    ASSERT_TRUE(IsPoison(actual.quants().data() + blocks * kQuantBlock,
                         actual.quants().size() - blocks * kQuantBlock));
    ASSERT_TRUE(IsPoison(actual.scales().data() + blocks,
                         (actual.scales().size() - blocks) * sizeof(float)));
    ASSERT_TRUE(
        IsPoison(actual.sums().data() + blocks, (actual.sums().size() - blocks) * sizeof(int32_t)));
    ASSERT_TRUE(IsPoison(actual.half_sums().data() + blocks,
                         (actual.half_sums().size() - blocks) * sizeof(int32_t)));
    ASSERT_TRUE(actual.GuardsIntact());
  }

  static std::vector<float> Reference(const TileMatrix& w, const QuantizedRows& x) {
    std::vector<float> y(w.rows);
    Gemv<ScalarReference>(w, {0, w.panels()}, {{}, x}, y.data());
    return y;
  }

  // Rows of x in batches, poison in the rows of the last one that are not used.
  static QuantizedBuffer InBatches(const QuantizedRows& x, size_t cols, size_t tokens) {
    QuantizedBuffer batches = QuantizedBuffer::Dense(RoundUp(tokens, K::kQuantBatch), cols);
    batches.PoisonData();
    for (size_t t = 0; t < tokens; ++t) {
      const QuantizedRows row = x.From(t);
      for (size_t b = 0; b < QuantizedRows::Blocks(cols); ++b) {
        PlaceBlock<K::kQuantBatch>(row.quants + b * kQuantBlock, row.scales[b], row.sums[b],
                                   row.half_sums[b], b, t, batches.view());
      }
    }
    return batches;
  }

  // Every token's product over a range of panels, and that nothing else is written.
  static void ExpectProductEqual(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,
                                 size_t tokens) {
    const size_t y_stride = w.rows + 5;
    GuardedBuffer<float> y(tokens * y_stride, 1);
    y.PoisonData();
    QuantizedBuffer batches = InBatches(x, w.cols, tokens);
    Gemm<K>(w, panels, {{}, tokens == 1 ? x : batches.view()}, tokens, y.data(), y_stride);
    ASSERT_TRUE(batches.GuardsIntact());
    ExpectRows(y, y_stride, w.rows, panels, tokens,
               [&](size_t t) { return Reference(w, x.From(t)); });
  }
};

TYPED_TEST_SUITE_P(QuantizedTest);

TYPED_TEST_P(QuantizedTest, ActivationsOfEveryLengthAndKind) {
  Random random;
  for (const size_t n : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 96, 97, 172, 768}) {
    for (const Fill fill : kFills) {
      SCOPED_TRACE(::testing::Message() << n << " " << FillName(fill));
      std::vector<float> x(n);
      FillWith(fill, random, x);
      ASSERT_NO_FATAL_FAILURE(this->ExpectQuantizedEqual(x, random.Below(4)));
    }
  }
}

// Quants at the middle between two integers, and blocks whose maximum is where the rules change.
TYPED_TEST_P(QuantizedTest, ActivationsAtEveryEdge) {
  Random random;
  std::vector<float> x(kQuantBlock);
  for (int half = -253; half <= 253; half += 2) {
    FillWith(Fill::kZeros, random, x);
    x[3] = 127;  // scale 1
    x[random.Below(3)] = static_cast<float>(half) * 0.5f;
    ASSERT_NO_FATAL_FAILURE(this->ExpectQuantizedEqual(x, 0));
  }
  for (const uint32_t bits : {0u, 1u, 0x007fffffu, 0x00800000u, 0x0d7fffffu, 0x0d800000u,
                              0x0d800001u, 0x7f7fffffu, 0x7f800000u, 0x7f800001u, 0x7fffffffu}) {
    for (const uint32_t sign : {0u, 0x80000000u}) {
      for (const size_t at : {0, 7, 31}) {
        FillWith(Fill::kZeros, random, x);
        for (float& value : x) value *= 0x1p-140f;
        x[at] = std::bit_cast<float>(bits | sign);
        ASSERT_NO_FATAL_FAILURE(this->ExpectQuantizedEqual(x, 1));
      }
    }
  }
}

// As the threads that compute a vector do it: block by block, each between the others' work, the
// last first.
TYPED_TEST_P(QuantizedTest, ActivationsBlockByBlock) {
  Random random;
  for (const size_t n : {32, 50, 64, 97, 172}) {
    std::vector<float> x(n);
    FillWith(Fill::kNormal, random, x);
    QuantizedBuffer expected(1, n), actual(1, n);
    ScalarReference::QuantizeActivations(x.data(), n, expected.view());
    for (size_t b = (n + kQuantBlock - 1) / kQuantBlock; b-- > 0;) {
      const size_t first = b * kQuantBlock, left = n - first;
      TypeParam::QuantizeActivations(x.data() + first, left < kQuantBlock ? left : kQuantBlock,
                                     actual.view().FromBlock(b));
    }
    for (size_t i = 0; i < expected.quants().size(); ++i)
      ASSERT_EQ(int{expected.quants()[i]}, int{actual.quants()[i]}) << n << " quant " << i;
    ASSERT_TRUE(AllEqual(expected.scales().span(), actual.scales().span())) << n;
    for (size_t b = 0; b < expected.sums().size(); ++b) {
      ASSERT_EQ(expected.sums()[b], actual.sums()[b]) << n << " block " << b;
      ASSERT_EQ(expected.half_sums()[b], actual.half_sums()[b]) << n << " block " << b;
    }
    ASSERT_TRUE(actual.GuardsIntact());
  }
}

TYPED_TEST_P(QuantizedTest, GemvOfEveryShape) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t rows : {1, 2, 15, 16, 17, 31, 32, 33, 48, 172}) {
      for (const size_t cols :
           {1, 3, 31, 32, 33, 63, 64, 65, 100, 128, 172, 255, 256, 257, 512, 768}) {
        SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << rows << "x" << cols);
        const OwnedTiles w(type, rows, cols, Fill::kNormal, random);
        QuantizedBuffer x = this->Inputs(1, cols, Fill::kCancelling, random);
        ASSERT_NO_FATAL_FAILURE(
            this->ExpectProductEqual(w.view(), {0, w.view().panels()}, x.view(), 1));
      }
    }
  }
}

TYPED_TEST_P(QuantizedTest, GemvOfEveryKindOfNumber) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t cols : {32, 172, 260}) {
      for (const Fill scales : kFills) {
        for (const Fill inputs : kFills) {
          SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << cols << " "
                                            << FillName(scales) << " by " << FillName(inputs));
          const OwnedTiles w(type, 50, cols, scales, random);
          QuantizedBuffer x = this->Inputs(1, cols, inputs, random);
          ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w.view(), {0, 4}, x.view(), 1));
        }
      }
    }
  }
}

// Inputs of 127 and -127 throughout, by rows of -128, 127, 0 and 15 throughout.
TYPED_TEST_P(QuantizedTest, SumsDoNotSaturate) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    const OwnedTiles w(type, 64, 320, Fill::kNormal, random);
    for (const int pattern : {0, 1, 2}) {
      QuantizedBuffer x(3, 320);
      std::vector<float> row(320);
      for (size_t t = 0; t < 3; ++t) {
        for (size_t i = 0; i < row.size(); ++i)
          row[i] = pattern == 0 || (pattern == 1 && i % 2 == 0) ? 1.0f : -1.0f;
        ScalarReference::QuantizeActivations(row.data(), row.size(), x.view().From(t));
      }
      ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w.view(), {0, 4}, x.view(), 1));
      ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w.view(), {0, 4}, x.view(), 3));
    }
  }
}

TYPED_TEST_P(QuantizedTest, EveryRangeOfPanelsAndGapsBetweenThem) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t gap : {0, 64, 4096}) {
      OwnedTiles w(type, 90, 70, gap);
      FillWeights(w.view(), Fill::kNormal, random);
      QuantizedBuffer x = this->Inputs(3, 70, Fill::kNormal, random);
      for (size_t begin = 0; begin <= 6; ++begin) {
        for (size_t end = begin; end <= 6; ++end) {
          ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w.view(), {begin, end}, x.view(), 1));
          ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w.view(), {begin, end}, x.view(), 3));
        }
      }
    }
  }
}

TYPED_TEST_P(QuantizedTest, InterleavedPairs) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t rows : {8, 32, 40, 80}) {
      const OwnedTilePair pair(type, rows, 64);
      FillWeights(pair.view().first, Fill::kNormal, random);
      FillWeights(pair.view().second, Fill::kNormal, random);
      QuantizedBuffer x = this->Inputs(2, 64, Fill::kNormal, random);
      for (const TileMatrix& w : {pair.view().first, pair.view().second}) {
        ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w, {0, w.panels()}, x.view(), 1));
        ASSERT_NO_FATAL_FAILURE(this->ExpectProductEqual(w, {0, w.panels()}, x.view(), 2));
      }
    }
  }
}

TYPED_TEST_P(QuantizedTest, GemmOfEveryNumberOfTokens) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t cols : {1, 64, 172, 260, 512}) {
      for (const size_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 24, 25, 33}) {
        // A NaN in a block makes all of a token's products NaN: kSpecial shows that it stays with
        // its token, kCancelling all else.
        for (const Fill inputs : {Fill::kCancelling, Fill::kSpecial}) {
          SCOPED_TRACE(::testing::Message()
                       << WeightTypeName(type) << " " << cols << " by " << FillName(inputs));
          const OwnedTiles w(type, 33, cols, Fill::kNormal, random);
          QuantizedBuffer x = this->Inputs(tokens, cols, inputs, random);
          ASSERT_NO_FATAL_FAILURE(
              this->ExpectProductEqual(w.view(), {0, w.view().panels()}, x.view(), tokens));
        }
      }
    }
  }
}

// More tokens and inputs than any backend takes at a time.
TYPED_TEST_P(QuantizedTest, GemmOfManyTokensAndInputs) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t cols : {512, 577, 1300}) {
      for (const size_t tokens : {64, 66, 133}) {
        SCOPED_TRACE(::testing::Message() << WeightTypeName(type) << " " << cols);
        const OwnedTiles w(type, 33, cols, Fill::kNormal, random);
        QuantizedBuffer x = this->Inputs(tokens, cols, Fill::kCancelling, random);
        ASSERT_NO_FATAL_FAILURE(
            this->ExpectProductEqual(w.view(), {0, w.view().panels()}, x.view(), tokens));
      }
    }
  }
}

// Rows straight into batches: the bits of rows quantised alone.
TYPED_TEST_P(QuantizedTest, QuantizesIntoBatches) {
  Random random;
  for (const size_t cols : {1, 32, 50, 172, 768, 1100}) {
    for (const size_t tokens : {2, 7, 13}) {
      QuantizedBuffer batches =
          QuantizedBuffer::Dense(RoundUp(tokens, TypeParam::kQuantBatch), cols);
      QuantizedBuffer expected =
          QuantizedBuffer::Dense(RoundUp(tokens, TypeParam::kQuantBatch), cols);
      std::vector<float> row(cols);
      for (size_t t = 0; t < tokens; ++t) {
        FillWith(Fill::kNormal, random, row);
        QuantizeIntoBatches<TypeParam>(row.data(), cols, 0, t, batches.view());
        QuantizedBuffer alone(1, cols);
        ScalarReference::QuantizeActivations(row.data(), cols, alone.view());
        for (size_t b = 0; b < (cols + kQuantBlock - 1) / kQuantBlock; ++b) {
          PlaceBlock<TypeParam::kQuantBatch>(alone.quants().data() + b * kQuantBlock,
                                             alone.scales()[b], alone.sums()[b],
                                             alone.half_sums()[b], b, t, expected.view());
        }
      }
      for (size_t i = 0; i < expected.quants().size(); ++i)
        ASSERT_EQ(int{expected.quants()[i]}, int{batches.quants()[i]}) << cols << " quant " << i;
      ASSERT_TRUE(AllEqual(expected.scales().span(), batches.scales().span()));
      for (size_t b = 0; b < expected.sums().size(); ++b) {
        ASSERT_EQ(expected.sums()[b], batches.sums()[b]) << cols << " block " << b;
        ASSERT_EQ(expected.half_sums()[b], batches.half_sums()[b]) << cols << " block " << b;
      }
      ASSERT_TRUE(batches.GuardsIntact());
    }
  }
}

TYPED_TEST_P(QuantizedTest, EmbeddingRows) {
  Random random;
  for (const WeightType type : kQuantizedTypes) {
    for (const size_t cols : {1, 31, 32, 33, 64, 100, 172, 300}) {
      for (const Fill fill : {Fill::kNormal, Fill::kSpecial, Fill::kSubnormal}) {
        const OwnedTiles w(type, 35, cols, fill, random);
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
}

REGISTER_TYPED_TEST_SUITE_P(QuantizedTest, ActivationsOfEveryLengthAndKind, ActivationsAtEveryEdge,
                            ActivationsBlockByBlock, GemvOfEveryShape, GemvOfEveryKindOfNumber,
                            SumsDoNotSaturate, EveryRangeOfPanelsAndGapsBetweenThem,
                            InterleavedPairs, GemmOfEveryNumberOfTokens, GemmOfManyTokensAndInputs,
                            QuantizesIntoBatches, EmbeddingRows);

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_QUANTIZED_SUITE_H_
