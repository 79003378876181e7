// One answer, part 3: a backend's KV cache and attention against scalar_reference, with ==.
#ifndef TVL_TESTS_CROSSVAL_ATTENTION_SUITE_H_
#define TVL_TESTS_CROSSVAL_ATTENTION_SUITE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/attention.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tile.h"
#include "tests/support/equality.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random.h"

namespace tvl::testing {

// One layer's cache for one KV head.
class OwnedKvSlot {
 public:
  OwnedKvSlot(size_t head_dim, size_t capacity)
      : keys_(KvSlot::KeyFloats(head_dim, capacity)),
        values_(KvSlot::ValueFloats(head_dim, capacity)),
        slot_{keys_.data(), values_.data(), static_cast<uint32_t>(head_dim),
              static_cast<uint32_t>(capacity)} {}

  const KvSlot& slot() const { return slot_; }
  // Poisons all positions; the padding stays +0, as an allocated cache has it.
  void PoisonAll() {
    for (size_t position = 0; position < slot_.capacity; ++position) {
      for (size_t i = 0; i < slot_.head_dim; ++i) {
        Poison(slot_.keys + position / kPanelRows * slot_.key_panel_stride() +
                   TileIndexF32(position % kPanelRows, i),
               sizeof(float));
        Poison(slot_.values + i / kPanelRows * slot_.value_panel_stride() +
                   TileIndexF32(i % kPanelRows, position),
               sizeof(float));
      }
    }
  }
  bool GuardsIntact() const { return keys_.GuardsIntact() && values_.GuardsIntact(); }
  // Bit for bit, padding included.
  bool SameAs(const OwnedKvSlot& other) const {
    return std::memcmp(keys_.data(), other.keys_.data(), keys_.size() * sizeof(float)) == 0 &&
           std::memcmp(values_.data(), other.values_.data(), values_.size() * sizeof(float)) == 0;
  }

 private:
  GuardedBuffer<float> keys_;
  GuardedBuffer<float> values_;
  KvSlot slot_;
};

inline constexpr size_t kHeadDims[] = {1, 2, 6, 8, 10, 32, 64, 80, 128};

template <typename K>
class AttentionTest : public ::testing::Test {
 protected:
  // The same sequence of keys and values in a cache of each backend.
  struct Twins {
    Twins(size_t head_dim, size_t capacity)
        : reference(head_dim, capacity), tested(head_dim, capacity) {}

    void Append(size_t position, Fill fill, Random& random) {
      GuardedBuffer<float> k(reference.slot().head_dim, position % 4);
      GuardedBuffer<float> v(reference.slot().head_dim, position % 3);
      FillWith(fill, random, k.span());
      FillWith(fill, random, v.span());
      ScalarReference::AppendKey(k.data(), position, reference.slot());
      ScalarReference::AppendValue(v.data(), position, reference.slot());
      K::AppendKey(k.data(), position, tested.slot());
      K::AppendValue(v.data(), position, tested.slot());
    }

    OwnedKvSlot reference;
    OwnedKvSlot tested;
  };

  // Queries of `heads` heads, each +0 from head_dim to the next multiple of 4, poison beyond.
  static GuardedBuffer<float> Queries(size_t heads, size_t head_dim, Fill fill, Random& random) {
    GuardedBuffer<float> q(heads * QueryStride(head_dim), heads % 4);
    q.PoisonData();
    for (size_t h = 0; h < heads; ++h) {
      const std::span<float> row =
          q.span().subspan(h * QueryStride(head_dim), RoundUp(head_dim, kDotChains));
      for (float& value : row) value = 0;
      FillWith(fill, random, row.first(head_dim));
    }
    return q;
  }
  static size_t QueryStride(size_t head_dim) { return RoundUp(head_dim, kDotChains) + 4; }

  template <typename Backend>
  static std::vector<float> Attention(const OwnedKvSlot& cache, size_t n,
                                      const GuardedBuffer<float>& q, size_t heads) {
    const KvSlot& slot = cache.slot();
    const size_t scores_stride = RoundUp(n, kDotChains) + 1;
    const size_t out_stride = slot.head_dim + 3;
    GuardedBuffer<float> scores(heads * scores_stride, 1);
    scores.PoisonData();
    GuardedBuffer<float> out(heads * out_stride, 2);
    out.PoisonData();
    Attend<Backend>(slot, n, q.data(), QueryStride(slot.head_dim), heads, 0.3f, scores.data(),
                    scores_stride, out.data(), out_stride);
    EXPECT_TRUE(scores.GuardsIntact());
    EXPECT_TRUE(out.GuardsIntact());
    std::vector<float> result;
    for (size_t h = 0; h < heads; ++h) {
      const float* row = out.data() + h * out_stride;
      EXPECT_TRUE(IsPoison(row + slot.head_dim, (out_stride - slot.head_dim) * sizeof(float)));
      result.insert(result.end(), row, row + slot.head_dim);
    }
    return result;
  }

  static void ExpectAttentionEqual(const Twins& twins, size_t n, size_t heads, Fill fill,
                                   Random& random) {
    SCOPED_TRACE(::testing::Message() << "head_dim " << twins.reference.slot().head_dim << " heads "
                                      << heads << " n " << n << " " << FillName(fill));
    const GuardedBuffer<float> q = Queries(heads, twins.reference.slot().head_dim, fill, random);
    const std::vector<float> expected = Attention<ScalarReference>(twins.reference, n, q, heads);
    ASSERT_TRUE(AllEqual(expected, Attention<K>(twins.tested, n, q, heads)));
  }
};

TYPED_TEST_SUITE_P(AttentionTest);

// Into a cache of zeros and into one of poison: what an append writes, and nothing else.
TYPED_TEST_P(AttentionTest, AppendsAreTheSameBits) {
  Random random;
  for (const size_t head_dim : kHeadDims) {
    for (const bool poisoned : {false, true}) {
      typename TestFixture::Twins twins(head_dim, 48);
      if (poisoned) {
        twins.reference.PoisonAll();
        twins.tested.PoisonAll();
      }
      for (size_t position = 0; position < 48; ++position) {
        twins.Append(position, Fill::kSpecial, random);
        ASSERT_TRUE(twins.reference.SameAs(twins.tested))
            << "head_dim " << head_dim << " position " << position;
      }
      ASSERT_TRUE(twins.tested.GuardsIntact());
    }
  }
}

TYPED_TEST_P(AttentionTest, EveryGroupAndPrefix) {
  Random random;
  for (const size_t head_dim : kHeadDims) {
    typename TestFixture::Twins twins(head_dim, 64);
    for (size_t position = 0; position < 50; ++position) {
      twins.Append(position, Fill::kNormal, random);
      // Around the edges of panels, and a few between.
      if (position > 2 && position % 16 > 1 && position % 16 < 14 && position % 7 != 0) continue;
      for (const size_t heads : {1, 2, 3, 4, 8}) {
        ASSERT_NO_FATAL_FAILURE(
            this->ExpectAttentionEqual(twins, position + 1, heads, Fill::kNormal, random));
      }
    }
  }
}

TYPED_TEST_P(AttentionTest, EveryKindOfNumber) {
  Random random;
  for (const Fill fill : kFills) {
    typename TestFixture::Twins twins(10, 32);
    for (size_t position = 0; position < 32; ++position) {
      twins.Append(position, fill, random);
      ASSERT_NO_FATAL_FAILURE(this->ExpectAttentionEqual(twins, position + 1, 3, fill, random));
    }
  }
}

// A chunk appends all of its positions and then attends from each: the later ones must not show.
// And its positions get the bits of a step by step decode.
TYPED_TEST_P(AttentionTest, ChunksGiveTheBitsOfSteps) {
  constexpr size_t kPositions = 40;
  constexpr size_t kHeads = 2;
  for (const size_t head_dim : {8, 10, 64}) {
    for (const size_t chunk : {2, 5, 16, 17, 40}) {
      Random random;
      Random queries(kSeed + 1);
      typename TestFixture::Twins steps(head_dim, 48);
      std::vector<std::vector<float>> expected;
      std::vector<GuardedBuffer<float>> q;
      for (size_t position = 0; position < kPositions; ++position) {
        steps.Append(position, Fill::kNormal, random);
        q.push_back(this->Queries(kHeads, head_dim, Fill::kNormal, queries));
        expected.push_back(this->template Attention<ScalarReference>(steps.reference, position + 1,
                                                                     q.back(), kHeads));
      }
      random = Random();
      typename TestFixture::Twins chunks(head_dim, 48);
      for (size_t begin = 0; begin < kPositions; begin += chunk) {
        const size_t end = begin + chunk < kPositions ? begin + chunk : kPositions;
        for (size_t position = begin; position < end; ++position)
          chunks.Append(position, Fill::kNormal, random);
        for (size_t position = begin; position < end; ++position) {
          ASSERT_TRUE(
              AllEqual(expected[position], this->template Attention<TypeParam>(
                                               chunks.tested, position + 1, q[position], kHeads)))
              << "head_dim " << head_dim << " chunk " << chunk << " position " << position;
        }
      }
    }
  }
}

// Going back to an earlier position and on with other tokens, as a rejected speculation does,
// equals a fresh cache.
TYPED_TEST_P(AttentionTest, RewindsLeaveNoTrace) {
  for (const size_t head_dim : {6, 64}) {
    for (const size_t back_to : {0, 1, 2, 3, 4, 7, 15, 16, 17, 30}) {
      Random random;
      typename TestFixture::Twins rewound(head_dim, 48);
      typename TestFixture::Twins fresh(head_dim, 48);
      for (size_t position = 0; position < 37; ++position) {
        Random same(kSeed + position);
        rewound.Append(position, Fill::kNormal, same);
      }
      for (size_t position = 0; position < back_to; ++position) {
        Random same(kSeed + position);
        fresh.Append(position, Fill::kNormal, same);
      }
      for (size_t position = back_to; position < back_to + 6; ++position) {
        Random same(kSeed + 100 + position);
        rewound.Append(position, Fill::kNormal, same);
        same = Random(kSeed + 100 + position);
        fresh.Append(position, Fill::kNormal, same);
        const GuardedBuffer<float> q = this->Queries(3, head_dim, Fill::kNormal, random);
        const std::vector<float> expected =
            this->template Attention<ScalarReference>(fresh.reference, position + 1, q, 3);
        ASSERT_TRUE(AllEqual(
            expected, this->template Attention<TypeParam>(rewound.tested, position + 1, q, 3)))
            << "head_dim " << head_dim << " back to " << back_to << " position " << position;
      }
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(AttentionTest, AppendsAreTheSameBits, EveryGroupAndPrefix,
                            EveryKindOfNumber, ChunksGiveTheBitsOfSteps, RewindsLeaveNoTrace);

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_ATTENTION_SUITE_H_
