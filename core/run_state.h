// The activations of a forward pass: the paper's virtual register file.
#ifndef TVL_CORE_RUN_STATE_H_
#define TVL_CORE_RUN_STATE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "core/activations.h"
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
    size_t context = 0;  // positions
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

  // T = max_tokens, P = threads.
  Lane x;    // (T, dim)            residual stream
  Lane xn;   // (max(T, P), dim)    normed: a row per token, or per thread when one token is decoded
  Lane q;    // (T, q_dim)
  Lane k;    // (T, kv_dim)
  Lane v;    // (T, kv_dim)
  Lane att;  // (T, q_dim)          attention's output
  Lane delta;   // (T, dim)            what a block adds to the residual stream
  Lane gate;    // (T, hidden_dim)     gate, then SwiGLU's output
  Lane up;      // (T, hidden_dim)
  Lane cos;     // (T, rope_dims / 2)
  Lane sin;     // (T, rope_dims / 2)
  Lane q_rot;   // (P * heads_per_kv, head_dim)  rotated queries of one group
  Lane k_rot;   // (P, head_dim)
  Lane scores;  // (P * heads_per_kv, context)
  Lane logits;  // (logit_rows, vocab_size)

  // Of xn, att and gate, for weights that want them so.
  QuantizedRows xn_quants;    // (max(T, P), dim)
  QuantizedRows att_quants;   // (max(T, P), q_dim)  a row per token, or per thread when decoding
  QuantizedRows gate_quants;  // (T, hidden_dim)

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
                   BlockStride(width) * (sizeof(float) + sizeof(int32_t)));
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
  }

  template <typename F>
  void Place(const ModelConfig& c, F&& place) {
    const size_t tokens = shape_.max_tokens, threads = shape_.threads, group = c.heads_per_kv();
    place(&x, tokens, c.dim);
    place(&xn, std::max(tokens, threads), c.dim);
    place(&q, tokens, c.q_dim());
    place(&k, tokens, c.kv_dim());
    place(&v, tokens, c.kv_dim());
    place(&att, tokens, c.q_dim());
    place(&delta, tokens, c.dim);
    place(&gate, tokens, c.hidden_dim);
    place(&up, tokens, c.hidden_dim);
    place(&cos, tokens, c.rope_dims / 2);
    place(&sin, tokens, c.rope_dims / 2);
    place(&q_rot, threads * group, c.head_dim);
    place(&k_rot, threads, c.head_dim);
    place(&scores, threads * group, shape_.context);
    place(&logits, shape_.logit_rows, c.vocab_size);
    place(&xn_quants, std::max(tokens, threads), c.dim);
    place(&att_quants, std::max(tokens, threads), c.q_dim());
    place(&gate_quants, tokens, c.hidden_dim);
  }

  Shape shape_;
  ZeroPages pages_;
};

}  // namespace tvl

#endif  // TVL_CORE_RUN_STATE_H_
