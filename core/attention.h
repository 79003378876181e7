// Attention of the query heads that share one KV head: two products over the cache's tiles with a
// softmax between.
#ifndef TVL_CORE_ATTENTION_H_
#define TVL_CORE_ATTENTION_H_

#include <cstddef>

#include "core/kernel.h"
#include "core/kv_slot.h"

namespace tvl {

// out[h] = sum over i < n of softmax(dot(K[i], q[h]) * scale)[i] * V[i], for h < heads.
//   q:      (heads, q_stride), rotated; each row +0 from head_dim to the next multiple of 4
//   n:      visible positions, 1 to slot.capacity
//   scores: (heads, scores_stride) scratch, scores_stride >= n rounded up to 4
//   out:    (heads, out_stride); head_dim floats of each row are written
// The heads of a group share each load of K and V; each gets the bits that it gets alone.
template <Kernel K>
void Attend(const KvSlot& slot, size_t n, const float* q, size_t q_stride, size_t heads,
            float scale, float* scores, size_t scores_stride, float* out,
            size_t out_stride) noexcept {
  const TileMatrix keys = slot.Keys(n);
  Gemm<K>(keys, {0, keys.panels()}, {{q, q_stride}, {}}, heads, scores, scores_stride);
  for (size_t h = 0; h < heads; ++h) K::Softmax(scores + h * scores_stride, n, scale);
  const TileMatrix values = slot.Values(n);
  Gemm<K>(values, {0, values.panels()}, {{scores, scores_stride}, {}}, heads, out, out_stride);
}

}  // namespace tvl

#endif  // TVL_CORE_ATTENTION_H_
