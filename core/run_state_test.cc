#include "core/run_state.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "core/activations.h"
#include "core/model_config.h"
#include "core/tile.h"
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
  const size_t t = s.shape().max_tokens, p = s.shape().threads, rows = p * s.attention_rows();
  const size_t batches = RoundUp(t, s.shape().float_batch);
  return {{&s.x, t, 60},
          {&s.q, t, 60},
          {&s.k, t, 20},
          {&s.v, t, 20},
          {&s.att, t, 60},
          {&s.delta, t, 60},
          {&s.cos, t, 5},
          {&s.sin, t, 5},
          {&s.logits, s.shape().logit_rows, 131},
          {&s.xn, p * s.shape().float_batch, 60},
          {&s.gate, 1, 172},
          {&s.up, 1, 172},
          {&s.xn_batches, batches, 60},
          {&s.att_batches, batches, 60},
          {&s.gate_batches, batches, 172},
          {&s.gate_units, p * t, 32},
          {&s.up_units, p * t, 32},
          {&s.k_rot, p, 10},
          {&s.q_rot, rows, 10},
          {&s.q_batches, rows, 10},
          {&s.scores, rows, s.shape().context},
          {&s.scaled_scores, rows, s.shape().context},
          {&s.score_batches, rows, s.shape().context},
          {&s.att_rows, rows, 10}};
}

struct QuantizedExtent {
  const QuantizedRows* rows;
  size_t count;
  size_t width;
};

std::vector<QuantizedExtent> QuantizedLanes(const RunState& s) {
  const size_t p = s.shape().threads;
  const size_t batches = RoundUp(s.shape().max_tokens, s.shape().quant_batch);
  return {{&s.xn_quants, p, 60},
          {&s.att_quants, p, 60},
          {&s.gate_quants, 1, 172},
          {&s.xn_quant_batches, batches, 60},
          {&s.att_quant_batches, batches, 60},
          {&s.gate_quant_batches, batches, 172},
          {&s.q_quants, p * s.attention_rows(), 10}};
}

const RunState::Shape kShapes[] = {
    {.max_tokens = 1, .logit_rows = 1, .threads = 1, .context = 1},
    {.max_tokens = 1, .logit_rows = 1, .threads = 8, .context = 40, .float_batch = 12},
    {.max_tokens = 7,
     .logit_rows = 7,
     .threads = 3,
     .context = 37,
     .float_batch = 12,
     .quant_batch = 6},
    {.max_tokens = 64,
     .logit_rows = 1,
     .threads = 2,
     .context = 512,
     .float_batch = 6,
     .quant_batch = 4},
};

TEST(RunStateTest, RowsAreAlignedAndFillTheArenaWithoutOverlap) {
  for (const RunState::Shape& shape : kShapes) {
    const RunState state = *RunState::Create(Config(), shape);
    // Each piece of memory: where it begins, and its bytes.
    std::map<const std::byte*, size_t> pieces;
    const auto add = [&](const auto* data, size_t bytes) {
      pieces[reinterpret_cast<const std::byte*>(data)] = bytes;
    };
    for (const Extent& e : Lanes(state)) {
      ASSERT_EQ(reinterpret_cast<uintptr_t>(e.lane->data) % kLineBytes, 0u);
      ASSERT_EQ(e.lane->stride * sizeof(float) % kLineBytes, 0u);
      ASSERT_GE(e.lane->stride, e.width);
      ASSERT_EQ(e.lane->Row(1), e.lane->data + e.lane->stride);
      add(e.lane->data, e.rows * e.lane->stride * sizeof(float));
    }
    for (const auto& [rows, count, width] : QuantizedLanes(state)) {
      ASSERT_EQ(reinterpret_cast<uintptr_t>(rows->quants) % kLineBytes, 0u);
      ASSERT_EQ(rows->quant_stride, RoundUp(width, kKSuperblock));
      ASSERT_GE(rows->block_stride, rows->quant_stride / kQuantBlock);
      ASSERT_EQ(rows->block_stride * sizeof(float) % kLineBytes, 0u);
      add(rows->quants, count * rows->quant_stride);
      add(rows->scales, count * rows->block_stride * sizeof(float));
      add(rows->sums, count * rows->block_stride * sizeof(int32_t));
      add(rows->half_sums, count * rows->block_stride * sizeof(int32_t));
    }
    const std::byte* free = pieces.begin()->first;
    for (const auto& [begin, bytes] : pieces) {
      ASSERT_EQ(begin, free);
      free += bytes;
    }
    EXPECT_EQ(static_cast<size_t>(free - pieces.begin()->first),
              RunState::BytesFor(Config(), shape));
  }
}

// As many tokens as have 12 rows of queries together, in whole batches of both kinds.
TEST(RunStateTest, AttentionRows) {
  ModelConfig config = Config();  // 3 heads to a KV head
  EXPECT_EQ(RunState::AttentionTokens(config), 4u);
  EXPECT_EQ(RunState::Create(config, kShapes[0])->attention_rows(), 3u);
  EXPECT_EQ(RunState::Create(config, kShapes[2])->attention_rows(), 12u);
  EXPECT_EQ(RunState::Create(config, kShapes[3])->attention_rows(), 12u);
  config.n_heads = 26;  // 13
  EXPECT_EQ(RunState::AttentionTokens(config), 1u);
  EXPECT_EQ(RunState::Create(config, kShapes[2])->attention_rows(), 24u);
  // Neither size a multiple of the other: the rows of every thread begin whole batches of both.
  EXPECT_EQ(
      RunState::Create(config, {.threads = 2, .context = 4, .float_batch = 5, .quant_batch = 4})
          ->attention_rows(),
      20u);
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
