#include "core/run_state.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/model_config.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

ModelConfig Config() {
  ModelConfig c;
  c.dim = 60;
  c.hidden_dim = 172;
  c.n_layers = 2;
  c.n_heads = 6;
  c.n_kv_heads = 2;
  c.head_dim = 10;
  c.vocab_size = 131;
  c.context_length = 40;
  c.rope_dims = 10;
  return c;
}

struct Extent {
  const Lane* lane;
  size_t rows;
  size_t width;
};

// The shapes that run_state.h documents.
std::vector<Extent> Lanes(const RunState& s) {
  const size_t t = s.shape().max_tokens, p = s.shape().threads;
  return {{&s.x, t, 60},
          {&s.xn, std::max(t, p), 60},
          {&s.q, t, 60},
          {&s.k, t, 20},
          {&s.v, t, 20},
          {&s.att, t, 60},
          {&s.delta, t, 60},
          {&s.gate, t, 172},
          {&s.up, t, 172},
          {&s.cos, t, 5},
          {&s.sin, t, 5},
          {&s.q_rot, p * 3, 10},
          {&s.k_rot, p, 10},
          {&s.scores, p * 3, s.shape().context},
          {&s.logits, s.shape().logit_rows, 131}};
}

struct QuantizedExtent {
  const QuantizedRows* rows;
  size_t count;
  size_t width;
};

std::vector<QuantizedExtent> QuantizedLanes(const RunState& s) {
  const size_t t = s.shape().max_tokens, p = s.shape().threads;
  return {{&s.xn_quants, std::max(t, p), 60},
          {&s.att_quants, std::max(t, p), 60},
          {&s.gate_quants, t, 172}};
}

const RunState::Shape kShapes[] = {
    {.max_tokens = 1, .logit_rows = 1, .threads = 1, .context = 1},
    {.max_tokens = 1, .logit_rows = 1, .threads = 8, .context = 40},
    {.max_tokens = 7, .logit_rows = 7, .threads = 3, .context = 37},
    {.max_tokens = 64, .logit_rows = 1, .threads = 2, .context = 512},
};

TEST(RunStateTest, RowsAreAlignedAndFollowEachOtherWithoutOverlap) {
  for (const RunState::Shape& shape : kShapes) {
    const RunState state = *RunState::Create(Config(), shape);
    const float* next = state.x.data;
    for (const Extent& e : Lanes(state)) {
      ASSERT_EQ(reinterpret_cast<uintptr_t>(e.lane->data) % kLineBytes, 0u);
      ASSERT_EQ(e.lane->stride * sizeof(float) % kLineBytes, 0u);
      ASSERT_GE(e.lane->stride, e.width);
      ASSERT_GE(e.lane->data, next);
      ASSERT_EQ(e.lane->Row(1), e.lane->data + e.lane->stride);
      next = e.lane->data + e.rows * e.lane->stride;
    }
    const std::byte* free = reinterpret_cast<const std::byte*>(next);
    for (const auto& [rows, count, width] : QuantizedLanes(state)) {
      ASSERT_EQ(reinterpret_cast<uintptr_t>(rows->quants) % kLineBytes, 0u);
      ASSERT_EQ(rows->quant_stride, RoundUp(width, kSuperblock));
      ASSERT_GE(rows->block_stride, rows->quant_stride / kQuantBlock);
      ASSERT_EQ(rows->block_stride * sizeof(float) % kLineBytes, 0u);
      ASSERT_EQ(reinterpret_cast<const std::byte*>(rows->quants), free);
      free += count * rows->quant_stride;
      ASSERT_EQ(reinterpret_cast<const std::byte*>(rows->scales), free);
      free += count * rows->block_stride * sizeof(float);
      ASSERT_EQ(reinterpret_cast<const std::byte*>(rows->sums), free);
      free += count * rows->block_stride * sizeof(int32_t);
    }
    EXPECT_EQ(static_cast<size_t>(free - reinterpret_cast<const std::byte*>(state.x.data)),
              RunState::BytesFor(Config(), shape));
  }
}

TEST(RunStateTest, StartsAtZeroTailsIncluded) {
  const RunState state = *RunState::Create(Config(), kShapes[2]);
  const size_t floats = RunState::BytesFor(Config(), kShapes[2]) / sizeof(float);
  for (size_t i = 0; i < floats; ++i) ASSERT_EQ(state.x.data[i], 0.0f);
}

TEST(RunStateTest, MovesKeepTheLanes) {
  RunState state = *RunState::Create(Config(), kShapes[2]);
  float* const logits = state.logits.data;
  logits[3] = 5;
  RunState moved(std::move(state));
  EXPECT_EQ(moved.logits.data, logits);
  EXPECT_EQ(moved.logits.Row(0)[3], 5.0f);
  RunState assigned = *RunState::Create(Config(), kShapes[0]);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.logits.Row(0)[3], 5.0f);
  EXPECT_EQ(assigned.shape().max_tokens, 7u);
}

}  // namespace
}  // namespace tvl
