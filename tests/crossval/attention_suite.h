// One answer, part 4: a backend's KV cache and attention against scalar_reference, with ==.
#ifndef TVL_TESTS_CROSSVAL_ATTENTION_SUITE_H_
#define TVL_TESTS_CROSSVAL_ATTENTION_SUITE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/attention.h"
#include "core/kernel.h"
#include "core/kv_append.h"
#include "core/kv_slot.h"
#include "core/tile.h"
#include "tests/support/equality.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/quantized_buffer.h"
#include "tests/support/random.h"

namespace tvl::testing {

// One layer's cache for one KV head.
class OwnedKvSlot {
 public:
  OwnedKvSlot(KvType type, size_t head_dim, size_t capacity)
      : memory_(KvSlot::Bytes(type, head_dim, capacity)),
        slot_(KvSlot::In(memory_.data(), type, static_cast<uint32_t>(head_dim),
                         static_cast<uint32_t>(capacity))) {}

  const KvSlot& slot() const { return slot_; }
  void PoisonAll() { memory_.PoisonData(); }
  bool GuardsIntact() const { return memory_.GuardsIntact(); }
  // Bit for bit, padding included. (But for NaN in f16, any of which may stand for another.)
  bool SameAs(const OwnedKvSlot& other) const {
    return std::memcmp(memory_.data(), other.memory_.data(), memory_.size()) == 0;
  }

 private:
  GuardedBuffer<std::byte> memory_;
  KvSlot slot_;
};

inline constexpr size_t kHeadDims[] = {1, 2, 6, 8, 10, 32, 64, 80, 128};

template <typename K>
class AttentionTest : public ::testing::Test {
 protected:
  // The same sequence of keys and values in a cache of each backend.
  struct Twins {
    Twins(KvType type, size_t head_dim, size_t capacity)
        : reference(type, head_dim, capacity), tested(type, head_dim, capacity) {}

    void Append(size_t position, Fill fill, Random& random) {
      GuardedBuffer<float> k(reference.slot().head_dim, position % 4);
      GuardedBuffer<float> v(reference.slot().head_dim, position % 3);
      FillWith(fill, random, k.span());
      FillWith(fill, random, v.span());
      AppendKey<ScalarReference>(k.data(), position, reference.slot());
      AppendValue<ScalarReference>(v.data(), position, reference.slot());
      AppendKey<K>(k.data(), position, tested.slot());
      AppendValue<K>(v.data(), position, tested.slot());
    }

    OwnedKvSlot reference;
    OwnedKvSlot tested;
  };

  // Queries of some rows, each +0 from head_dim to the next multiple of 4, poison beyond.
  static GuardedBuffer<float> Queries(size_t rows, size_t head_dim, Fill fill, Random& random) {
    GuardedBuffer<float> q(rows * QueryStride(head_dim), rows % 4);
    q.PoisonData();
    for (size_t r = 0; r < rows; ++r) {
      const std::span<float> row =
          q.span().subspan(r * QueryStride(head_dim), RoundUp(head_dim, kDotChains));
      for (float& value : row) value = 0;
      FillWith(fill, random, row.first(head_dim));
    }
    return q;
  }
  static size_t QueryStride(size_t head_dim) { return RoundUp(head_dim, kDotChains) + 4; }

  // Of `tokens` tokens, of which the first sees n positions, or those in the window.
  template <typename Backend, typename Window = NoWindow>
  static std::vector<float> Attention(const OwnedKvSlot& cache, size_t n, const float* q,
                                      size_t heads, size_t tokens = 1, Window window = {}) {
    const KvSlot& slot = cache.slot();
    const size_t dim = slot.head_dim;
    const size_t rows = RoundUp(heads * tokens, std::lcm(K::kFloatBatch, K::kQuantBatch));
    const size_t scores_stride = RoundUp(RoundUp(n + tokens - 1, kDotChains) + 1, kDotChains);
    const size_t q_stride = RoundUp(dim, kDotChains) + 8;
    const size_t out_stride = heads * dim + 3;
    GuardedBuffer<float> q_batches(rows * q_stride), att_rows(rows * dim);
    GuardedBuffer<float> scores(rows * scores_stride, 1), scaled(rows * scores_stride, 2),
        batches(rows * scores_stride, 3);
    for (GuardedBuffer<float>* buffer : {&q_batches, &att_rows, &scores, &scaled, &batches})
      buffer->PoisonData();
    QuantizedBuffer quants = QuantizedBuffer::Dense(rows, dim);
    const AttentionScratch scratch = {.q_batches = q_batches.data(),
                                      .q_stride = q_stride,
                                      .q_quants = quants.view(),
                                      .scores = scores.data(),
                                      .scaled = scaled.data(),
                                      .batches = batches.data(),
                                      .scores_stride = scores_stride,
                                      .out = att_rows.data()};
    GuardedBuffer<float> out(tokens * out_stride, 2);
    out.PoisonData();
    Attend<Backend>(slot, n, tokens, heads, q, QueryStride(dim), 0.3f, scratch, out.data(),
                    out_stride, window);
    for (GuardedBuffer<float>* buffer : {&q_batches, &att_rows, &scores, &scaled, &batches, &out})
      EXPECT_TRUE(buffer->GuardsIntact());
    EXPECT_TRUE(quants.GuardsIntact());
    std::vector<float> result;
    for (size_t t = 0; t < tokens; ++t) {
      const float* row = out.data() + t * out_stride;
      EXPECT_TRUE(IsPoison(row + heads * dim, 3 * sizeof(float)));
      result.insert(result.end(), row, row + heads * dim);
    }
    return result;
  }

  // One head of one token, as core/attention.h defines it: over all of the n positions.
  static std::vector<float> WindowedByDefinition(const KvSlot& slot, size_t n, const float* q,
                                                 size_t window) {
    std::vector<float> scores(RoundUp(n, kDotChains)), out(slot.head_dim);
    const TileMatrix keys = slot.Keys(n), values = slot.Values(n);
    Gemv<ScalarReference>(keys, {0, keys.panels()}, Activations{{q, 0}, {}}, scores.data());
    for (size_t i = 0; i + window < n; ++i) scores[i] = -std::numeric_limits<float>::infinity();
    ScalarReference::Softmax(scores.data(), n, 0.3f);
    Gemv<ScalarReference>(values, {0, values.panels()}, Activations{{scores.data(), 0}, {}},
                          out.data());
    return out;
  }

  static void ExpectAttentionEqual(const Twins& twins, size_t n, size_t heads, Fill fill,
                                   Random& random) {
    SCOPED_TRACE(::testing::Message() << KvTypeName(twins.reference.slot().type) << " head_dim "
                                      << twins.reference.slot().head_dim << " heads " << heads
                                      << " n " << n << " " << FillName(fill));
    const GuardedBuffer<float> q = Queries(heads, twins.reference.slot().head_dim, fill, random);
    const std::vector<float> expected =
        Attention<ScalarReference>(twins.reference, n, q.data(), heads);
    ASSERT_TRUE(AllEqual(expected, Attention<K>(twins.tested, n, q.data(), heads)));
  }
};

TYPED_TEST_SUITE_P(AttentionTest);

// Into a cache of zeros and into one of poison: what an append writes, and nothing else.
TYPED_TEST_P(AttentionTest, AppendsAreTheSameBits) {
  Random random;
  for (const KvType type : kKvTypes) {
    for (const size_t head_dim : kHeadDims) {
      for (const bool poisoned : {false, true}) {
        typename TestFixture::Twins twins(type, head_dim, 48);
        if (poisoned) {
          twins.reference.PoisonAll();
          twins.tested.PoisonAll();
        }
        for (size_t position = 0; position < 48; ++position) {
          const Fill fill = type == KvType::kF32 ? Fill::kSpecial : Fill::kCancelling;
          twins.Append(position, fill, random);
          ASSERT_TRUE(twins.reference.SameAs(twins.tested))
              << KvTypeName(type) << " head_dim " << head_dim << " position " << position;
        }
        ASSERT_TRUE(twins.tested.GuardsIntact());
      }
    }
  }
}

TYPED_TEST_P(AttentionTest, EveryGroupAndPrefix) {
  Random random;
  for (const KvType type : kKvTypes) {
    for (const size_t head_dim : kHeadDims) {
      typename TestFixture::Twins twins(type, head_dim, 64);
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
}

TYPED_TEST_P(AttentionTest, EveryKindOfNumber) {
  Random random;
  for (const KvType type : kKvTypes) {
    for (const Fill fill : kFills) {
      typename TestFixture::Twins twins(type, 10, 32);
      for (size_t position = 0; position < 32; ++position) {
        twins.Append(position, fill, random);
        ASSERT_NO_FATAL_FAILURE(this->ExpectAttentionEqual(twins, position + 1, 3, fill, random));
      }
    }
  }
}

// A chunk appends all of its positions and then attends from several at once: the later ones must
// not show. And its positions get the bits of a step by step decode.
TYPED_TEST_P(AttentionTest, ChunksGiveTheBitsOfSteps) {
  constexpr size_t kPositions = 40;
  for (const KvType type : kKvTypes) {
    for (const size_t heads : {1, 2, 5}) {
      for (const size_t head_dim : {8, 10, 64}) {
        const size_t q_stride = this->QueryStride(head_dim), width = heads * head_dim;
        Random queries(kSeed + 1);
        const GuardedBuffer<float> q =
            this->Queries(kPositions * heads, head_dim, Fill::kNormal, queries);
        Random random;
        typename TestFixture::Twins steps(type, head_dim, 48);
        std::vector<float> expected;
        for (size_t position = 0; position < kPositions; ++position) {
          steps.Append(position, Fill::kNormal, random);
          const std::vector<float> one = this->template Attention<ScalarReference>(
              steps.reference, position + 1, q.data() + position * heads * q_stride, heads);
          expected.insert(expected.end(), one.begin(), one.end());
        }
        for (const size_t chunk : {2, 5, 16, 17, 40}) {
          random = Random();
          typename TestFixture::Twins chunks(type, head_dim, 48);
          for (size_t begin = 0; begin < kPositions; begin += chunk) {
            const size_t count = std::min<size_t>(chunk, kPositions - begin);
            for (size_t position = begin; position < begin + count; ++position)
              chunks.Append(position, Fill::kNormal, random);
            const std::vector<float> found = this->template Attention<TypeParam>(
                chunks.tested, begin + 1, q.data() + begin * heads * q_stride, heads, count);
            ASSERT_TRUE(AllEqual(std::span(expected).subspan(begin * width, count * width), found))
                << KvTypeName(type) << " heads " << heads << " head_dim " << head_dim << " chunk "
                << chunk << " from " << begin;
          }
        }
      }
    }
  }
}

// No bit shows that a window leaves whole panels out; nor does how tokens are grouped.
TYPED_TEST_P(AttentionTest, WindowsAreThoseOfTheDefinition) {
  constexpr size_t kPositions = 60;
  struct Heads {
    size_t count, dim;
  };
  for (const auto [heads, head_dim] : {Heads{2, 10}, Heads{1, 80}, Heads{5, 64}}) {
    Random random;
    const GuardedBuffer<float> q =
        this->Queries(kPositions * heads, head_dim, Fill::kNormal, random);
    const size_t token_stride = heads * this->QueryStride(head_dim), width = heads * head_dim;
    for (const KvType type : kKvTypes) {
      typename TestFixture::Twins twins(type, head_dim, 64);
      for (size_t position = 0; position < kPositions; ++position)
        twins.Append(position, Fill::kNormal, random);
      for (const size_t window : {1, 2, 15, 16, 17, 33, 59, 60, 1000}) {
        std::vector<float> expected;
        for (size_t t = 0; t < kPositions; ++t) {
          const float* token_q = q.data() + t * token_stride;
          const std::vector<float> one = this->template Attention<ScalarReference>(
              twins.reference, t + 1, token_q, heads, 1, SlidingWindow{window});
          if (type != KvType::kQ8) {
            const std::vector<float> head =
                this->WindowedByDefinition(twins.reference.slot(), t + 1, token_q, window);
            ASSERT_TRUE(AllEqual(head, std::span(one).first(head_dim)))
                << KvTypeName(type) << " window " << window << " position " << t;
          }
          expected.insert(expected.end(), one.begin(), one.end());
        }
        for (const size_t chunk : {1, 5, 17, 60}) {
          for (size_t begin = 0; begin < kPositions; begin += chunk) {
            const size_t count = std::min<size_t>(chunk, kPositions - begin);
            const std::vector<float> found = this->template Attention<TypeParam>(
                twins.tested, begin + 1, q.data() + begin * token_stride, heads, count,
                SlidingWindow{window});
            ASSERT_TRUE(AllEqual(std::span(expected).subspan(begin * width, count * width), found))
                << KvTypeName(type) << " window " << window << " chunk " << chunk << " from "
                << begin;
          }
        }
      }
    }
  }
}

// What is in the panels before a window, NaN here, is not read.
TYPED_TEST_P(AttentionTest, PanelsBeforeTheWindowAreNotRead) {
  constexpr size_t kPositions = 60, kHeads = 2, kHeadDim = 40, kFirst = 45;
  constexpr SlidingWindow kWindow = {13};  // the first token sees 32 and on
  const std::vector<float> nan(kHeadDim, std::numeric_limits<float>::quiet_NaN());
  for (const KvType type : kKvTypes) {
    Random random;
    typename TestFixture::Twins twins(type, kHeadDim, 64);
    for (size_t position = 0; position < kPositions; ++position) {
      twins.Append(position, Fill::kNormal, random);
      if (position >= kFirst - kWindow.positions) continue;
      AppendKey<TypeParam>(nan.data(), position, twins.tested.slot());
      AppendValue<TypeParam>(nan.data(), position, twins.tested.slot());
    }
    const size_t tokens = kPositions - kFirst + 1;
    const GuardedBuffer<float> q = this->Queries(tokens * kHeads, kHeadDim, Fill::kNormal, random);
    const std::vector<float> expected = this->template Attention<ScalarReference>(
        twins.reference, kFirst, q.data(), kHeads, tokens, kWindow);
    ASSERT_TRUE(AllEqual(expected, this->template Attention<TypeParam>(
                                       twins.tested, kFirst, q.data(), kHeads, tokens, kWindow)))
        << KvTypeName(type);
    for (const float value : expected) ASSERT_FALSE(std::isnan(value));
  }
}

// Going back to an earlier position and on with other tokens, as a rejected speculation does,
// equals a fresh cache.
TYPED_TEST_P(AttentionTest, RewindsLeaveNoTrace) {
  for (const KvType type : kKvTypes) {
    for (const size_t head_dim : {6, 64}) {
      for (const size_t back_to : {0, 1, 2, 3, 4, 7, 15, 16, 17, 30}) {
        Random random;
        typename TestFixture::Twins rewound(type, head_dim, 48);
        typename TestFixture::Twins fresh(type, head_dim, 48);
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
              this->template Attention<ScalarReference>(fresh.reference, position + 1, q.data(), 3);
          ASSERT_TRUE(AllEqual(expected, this->template Attention<TypeParam>(
                                             rewound.tested, position + 1, q.data(), 3)))
              << KvTypeName(type) << " head_dim " << head_dim << " back to " << back_to
              << " position " << position;
        }
      }
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(AttentionTest, AppendsAreTheSameBits, EveryGroupAndPrefix,
                            EveryKindOfNumber, ChunksGiveTheBitsOfSteps,
                            WindowsAreThoseOfTheDefinition, PanelsBeforeTheWindowAreNotRead,
                            RewindsLeaveNoTrace);

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_ATTENTION_SUITE_H_
