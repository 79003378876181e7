// Attention of the query heads that share one KV head: two products over the cache's tiles with a
// softmax between.
#ifndef TVL_CORE_ATTENTION_H_
#define TVL_CORE_ATTENTION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/activations.h"
#include "core/batches.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// As many rows of queries as Attend is best called with: whole batches of our backends, and few
// enough for their scores to stay in cache.
inline constexpr size_t kAttentionRows = 12;

// Where Attend keeps what it computes on the way. All strides in elements, all rows R rounded up to
// whole batches of the backend.
struct AttentionScratch {
  float* q_batches = nullptr;  // (R, q_stride)
  size_t q_stride = 0;         // >= head_dim rounded up to a multiple of 4
  QuantizedRows q_quants;      // (R, head_dim), zero where nothing was ever written
  float* scores = nullptr;     // (R, scores_stride)
  float* scaled = nullptr;     // (R, scores_stride)
  float* batches = nullptr;    // (R, scores_stride)
  size_t scores_stride = 0;    // >= the visible positions rounded up to a multiple of 4
  float* out = nullptr;        // (R, head_dim)
};

// How many positions a token sees at most, itself the last; of a type, so that where there is no
// window nothing asks for one.
struct NoWindow {};
struct SlidingWindow {
  size_t positions;  // >= 1
};

// Attend, below, at work. Positions that no token sees are left out by whole panels.
template <Kernel K, typename Window>
class AttentionPass {
 public:
  AttentionPass(const KvSlot& slot, size_t n, size_t tokens, size_t heads, Window window,
                const AttentionScratch& scratch)
      : left_out_(Hidden(n, window) / kPanelRows * kPanelRows),
        slot_(slot.From(left_out_)),
        window_(window),
        n_(n - left_out_),
        tokens_(tokens),
        heads_(heads),
        s_(scratch) {}

  void Run(const float* q, size_t q_stride, float scale, float* out, size_t out_stride) noexcept {
    const TileMatrix keys = slot_.Keys(all());
    Gemm<K>(keys, {0, keys.panels()}, Queries(q, q_stride), rows(), s_.scores, s_.scores_stride);
    for (size_t r = 0; r < rows(); ++r) {
      const size_t n = n_ + r / heads_;
      float* scores = s_.scores + r * s_.scores_stride;
      if constexpr (kWindowed)
        std::fill_n(scores, Hidden(n, window_), -std::numeric_limits<float>::infinity());
      K::Softmax(scores, n, scale);
      const size_t end = RoundUp(n, kDotChains);
      std::memset(scores + end, 0, (padded() - end) * sizeof(float));
    }
    // Rows of `out` lie at one stride if a token has one head, or if there is one token.
    const bool direct = heads_ == 1 || tokens_ == 1;
    float* y = direct ? out : s_.out;
    const size_t y_stride = heads_ == 1 ? out_stride : slot_.head_dim;
    MultiplyValues(y, y_stride);
    if (direct) return;
    const size_t width = heads_ * slot_.head_dim;
    for (size_t t = 0; t < tokens_; ++t)
      std::memcpy(out + t * out_stride, y + t * width, width * sizeof(float));
  }

 private:
  static constexpr size_t kB = K::kFloatBatch;
  static constexpr bool kWindowed = !std::is_same_v<Window, NoWindow>;

  // Positions that are out of sight for the token that is the n-th.
  static size_t Hidden(size_t, NoWindow) { return 0; }
  static size_t Hidden(size_t n, SlidingWindow window) { return n - std::min(n, window.positions); }

  size_t rows() const { return tokens_ * heads_; }
  size_t all() const { return n_ + tokens_ - 1; }  // positions that the last token sees
  size_t padded() const { return RoundUp(all(), kDotChains); }

  Activations Queries(const float* q, size_t q_stride) const {
    if (slot_.type == KvType::kQ8) {
      if (rows() == 1) {
        // A chunk has left batches there, which lie otherwise: the padding is to be 0 again.
        const size_t blocks = QuantizedRows::Blocks(slot_.head_dim);
        std::memset(s_.q_quants.quants, 0, QuantizedRows::QuantStride(slot_.head_dim));
        std::fill_n(s_.q_quants.scales, blocks, 0.0f);
        std::fill_n(s_.q_quants.sums, blocks, 0);
        std::fill_n(s_.q_quants.half_sums, blocks, 0);
        K::QuantizeActivations(q, slot_.head_dim, s_.q_quants);
      } else {
        for (size_t r = 0; r < rows(); ++r)
          QuantizeIntoBatches<K>(q + r * q_stride, slot_.head_dim, 0, r, s_.q_quants);
      }
      return {{}, s_.q_quants};
    }
    if (rows() == 1 || kB == 1) return {{q, q_stride}, {}};
    for (size_t r = 0; r < rows(); r += kB) {
      PlaceRows<kB>(q + r * q_stride, q_stride, std::min(kB, rows() - r), slot_.head_dim,
                    RoundUp(slot_.head_dim, kDotChains), 0, r, s_.q_batches, s_.q_stride);
    }
    return {{s_.q_batches, s_.q_stride}, {}};
  }

  // Rows of (R, scores_stride) as a product takes them.
  Activations Batches(const float* from) const {
    if (rows() == 1 || kB == 1) return {{from, s_.scores_stride}, {}};
    for (size_t r = 0; r < rows(); r += kB) {
      PlaceRows<kB>(from + r * s_.scores_stride, s_.scores_stride, std::min(kB, rows() - r),
                    padded(), padded(), 0, r, s_.batches, s_.scores_stride);
    }
    return {{s_.batches, s_.scores_stride}, {}};
  }

  void MultiplyValues(float* y, size_t y_stride) const {
    const TileMatrix values = slot_.Values(all());
    if (slot_.type != KvType::kQ8) {
      Gemm<K>(values, {0, values.panels()}, Batches(s_.scores), rows(), y, y_stride);
      return;
    }
    for (size_t block = 0; block < slot_.value_blocks(); ++block) {
      const uint16_t* scales = slot_.value_scales + block * slot_.capacity;
      for (size_t r = 0; r < rows(); ++r) {
        const size_t at = r * s_.scores_stride;
        K::ScaleByF16(s_.scores + at, scales, padded(), s_.scaled + at);
      }
      const PanelRange panels = {block * KvSlot::kPanelsPerBlock,
                                 std::min((block + 1) * KvSlot::kPanelsPerBlock, values.panels())};
      Gemm<K>(values, panels, Batches(s_.scaled), rows(), y, y_stride);
    }
  }

  const size_t left_out_;  // positions, a multiple of 16; all others count from there
  const KvSlot slot_;
  const Window window_;
  const size_t n_, tokens_, heads_;
  const AttentionScratch& s_;
};

// What `tokens` consecutive tokens see of one KV head, of which the first sees n positions, the
// next n + 1 and so on: for each of them and each of its `heads` query heads
//
//     out = sum over i of softmax(dot(K[i], q) * scale)[i] * V[i]
//
// where i begins at 0, or where the window of the token does. The sums are those over all
// positions, with scores of -inf before the window: as the lanes and chains of a sum go by
// multiples of 16 and 4, whole panels there, of finite values, change no bit, and are not read.
//
// With a cache of q8 the query is quantised for the first product, and for the second every
// probability is multiplied by the scale of its position, once per block of dimensions.
//   q:   (tokens * heads, q_stride), rotated, the heads of a token side by side; each row +0 from
//        head_dim to the next multiple of 4
//   out: (tokens, out_stride), of which heads * head_dim floats of each row are written
// REQUIRES: n >= 1, n + tokens - 1 <= slot.capacity, tokens * heads <= R. All rows share each load
// of K and V; each gets the bits that it gets alone (where values are finite; core/kernel.h, at the
// end).
template <Kernel K, typename Window = NoWindow>
void Attend(const KvSlot& slot, size_t n, size_t tokens, size_t heads, const float* q,
            size_t q_stride, float scale, const AttentionScratch& scratch, float* out,
            size_t out_stride, Window window = {}) noexcept {
  AttentionPass<K, Window>(slot, n, tokens, heads, window, scratch)
      .Run(q, q_stride, scale, out, out_stride);
}

}  // namespace tvl

#endif  // TVL_CORE_ATTENTION_H_
