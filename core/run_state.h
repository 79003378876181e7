// The activations of a forward pass: the paper's virtual register file.
#ifndef TVL_CORE_RUN_STATE_H_
#define TVL_CORE_RUN_STATE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

#include "absl/status/statusor.h"
#include "core/activations.h"
#include "core/attention.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/tile.h"

namespace tvl {

// Rows of floats, each row on a cache line of its own so that threads that write different rows
// share no line.
struct Lane {
  float* data = nullptr;
  size_t stride = 0;  // floats between rows

  float* Row(size_t i) const { return data + i * stride; }
};

// One arena of fresh zero pages, reserved once and taken as it is written to: row tails beyond the
// logical width stay +0, as products require of their input. Decoding allocates nothing else.
class RunState {
 public:
  struct Shape {
    size_t max_tokens = 1;  // tokens of one forward pass
    size_t logit_rows = 1;  // 1: logits of the last token only; max_tokens: of all
    size_t threads = 1;
    size_t context = 0;      // positions
    size_t float_batch = 1;  // of the backend: K::kFloatBatch
    size_t quant_batch = 1;  // K::kQuantBatch
  };

  // ResourceExhausted if the address space cannot be had.
  static absl::StatusOr<RunState> Create(const ModelConfig& c, const Shape& shape) {
    RunState state(shape);
    absl::StatusOr<ZeroPages> pages = ZeroPages::Allocate(BytesFor(c, shape));
    if (!pages.ok()) return pages.status();
    state.pages_ = *std::move(pages);
    std::byte* next = state.pages_.data();
    state.Place(c, [&](auto* lane, size_t rows, size_t width) {
      SetLane(next, width, rows, lane);
      next += LaneBytes(*lane, rows, width);
    });
    return state;
  }
  RunState(RunState&&) = default;
  RunState& operator=(RunState&&) = default;

  // Bytes that a RunState of this shape takes.
  static size_t BytesFor(const ModelConfig& c, const Shape& shape) {
    RunState probe(shape);
    size_t bytes = 0;
    probe.Place(
        c, [&](auto* lane, size_t rows, size_t width) { bytes += LaneBytes(*lane, rows, width); });
    return bytes;
  }

  const Shape& shape() const { return shape_; }

  // T = max_tokens, P = threads, R = attention_rows(). What ends in _batches is in the backend's
  // batches (core/activations.h), its rows rounded up to whole ones.
  Lane x;       // (T, dim)            residual stream
  Lane q;       // (T, q_dim)
  Lane k;       // (T, kv_dim)
  Lane v;       // (T, kv_dim)
  Lane att;     // (T, q_dim)          attention's output
  Lane delta;   // (T, dim)            what a block adds to the residual stream
  Lane cos;     // (T, rope_dims / 2)
  Lane sin;     // (T, rope_dims / 2)
  Lane logits;  // (logit_rows, vocab_size)

  // What products take when one token is decoded. Each thread norms and quantises for itself, which
  // is cheaper than a barrier.
  Lane xn;                    // (P * float_batch, dim)  normed: one row; of a chunk a batch
  Lane gate;                  // (hidden_dim)     gate, then SwiGLU's output
  Lane up;                    // (hidden_dim)
  QuantizedRows xn_quants;    // (P, dim)
  QuantizedRows att_quants;   // (P, q_dim)
  QuantizedRows gate_quants;  // (hidden_dim)

  // What they take of a chunk.
  Lane xn_batches;                   // (T, dim)
  Lane att_batches;                  // (T, q_dim)
  Lane gate_batches;                 // (T, hidden_dim)
  QuantizedRows xn_quant_batches;    // (T, dim)
  QuantizedRows att_quant_batches;   // (T, q_dim)
  QuantizedRows gate_quant_batches;  // (T, hidden_dim)
  Lane gate_units;                   // (P * T, 32)  one unit of gate, of all tokens
  Lane up_units;                     // (P * T, 32)

  // Of one thread's attention; see AttentionScratch. All but k_rot (P * R, ...).
  Lane k_rot;              // (P, head_dim)
  Lane q_rot;              // (head_dim)
  Lane q_batches;          // (head_dim)
  QuantizedRows q_quants;  // (head_dim)
  Lane scores;             // (context)
  Lane scaled_scores;      // (context)
  Lane score_batches;      // (context)
  Lane att_rows;           // (head_dim)

  // Tokens of a chunk that attend together, and how many rows of queries they are at most, in whole
  // batches of both kinds: each thread has so many rows of a lane.
  static size_t AttentionTokens(const ModelConfig& c) {
    return std::max<size_t>(1, kAttentionRows / c.heads_per_kv());
  }
  size_t attention_rows() const { return attention_rows_; }

 private:
  explicit RunState(const Shape& shape) : shape_(shape) {}

  static constexpr size_t kLineFloats = kLineBytes / sizeof(float);

  static size_t Stride(size_t width) { return RoundUp(width, kLineFloats); }
  static size_t BlockStride(size_t width) {
    return RoundUp(QuantizedRows::Blocks(width), kLineFloats);
  }

  static size_t LaneBytes(const Lane&, size_t rows, size_t width) {
    return rows * Stride(width) * sizeof(float);
  }
  static size_t LaneBytes(const QuantizedRows&, size_t rows, size_t width) {
    return rows * (QuantizedRows::QuantStride(width) +
                   BlockStride(width) * (sizeof(float) + 2 * sizeof(int32_t)));
  }

  static void SetLane(std::byte* at, size_t width, size_t, Lane* lane) {
    *lane = {reinterpret_cast<float*>(at), Stride(width)};
  }
  static void SetLane(std::byte* at, size_t width, size_t rows, QuantizedRows* lane) {
    lane->quant_stride = QuantizedRows::QuantStride(width);
    lane->block_stride = BlockStride(width);
    lane->quants = reinterpret_cast<int8_t*>(at);
    lane->scales = reinterpret_cast<float*>(at + rows * lane->quant_stride);
    lane->sums = reinterpret_cast<int32_t*>(lane->scales + rows * lane->block_stride);
    lane->half_sums = lane->sums + rows * lane->block_stride;
  }

  template <typename F>
  void Place(const ModelConfig& c, F&& place) {
    const size_t tokens = shape_.max_tokens, threads = shape_.threads;
    place(&x, tokens, c.dim);
    place(&q, tokens, c.q_dim());
    place(&k, tokens, c.kv_dim());
    place(&v, tokens, c.kv_dim());
    place(&att, tokens, c.q_dim());
    place(&delta, tokens, c.dim);
    place(&cos, tokens, c.rope_dims / 2);
    place(&sin, tokens, c.rope_dims / 2);
    place(&logits, shape_.logit_rows, c.vocab_size);

    place(&xn, threads * shape_.float_batch, c.dim);
    place(&gate, size_t{1}, c.hidden_dim);
    place(&up, size_t{1}, c.hidden_dim);
    place(&xn_quants, threads, c.dim);
    place(&att_quants, threads, c.q_dim());
    place(&gate_quants, size_t{1}, c.hidden_dim);

    const size_t floats = RoundUp(tokens, shape_.float_batch);
    const size_t quants = RoundUp(tokens, shape_.quant_batch);
    place(&xn_batches, floats, c.dim);
    place(&att_batches, floats, c.q_dim());
    place(&gate_batches, floats, c.hidden_dim);
    place(&xn_quant_batches, quants, c.dim);
    place(&att_quant_batches, quants, c.q_dim());
    place(&gate_quant_batches, quants, c.hidden_dim);
    place(&gate_units, threads * tokens, kUnitRows);
    place(&up_units, threads * tokens, kUnitRows);

    const size_t together = std::min(tokens, AttentionTokens(c)) * c.heads_per_kv();
    attention_rows_ = RoundUp(together, std::lcm(shape_.float_batch, shape_.quant_batch));
    const size_t rows = threads * attention_rows_;
    place(&k_rot, threads, c.head_dim);
    place(&q_rot, rows, c.head_dim);
    place(&q_batches, rows, c.head_dim);
    place(&q_quants, rows, c.head_dim);
    place(&scores, rows, shape_.context);
    place(&scaled_scores, rows, shape_.context);
    place(&score_batches, rows, shape_.context);
    place(&att_rows, rows, c.head_dim);
  }

  Shape shape_;
  size_t attention_rows_ = 0;
  ZeroPages pages_;
};

}  // namespace tvl

#endif  // TVL_CORE_RUN_STATE_H_
