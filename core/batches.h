// Rows into the batches that a backend's products take (core/activations.h).
#ifndef TVL_CORE_BATCHES_H_
#define TVL_CORE_BATCHES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/activations.h"
#include "core/kernel.h"
#include "core/tile.h"

namespace tvl {

// Quantises x[0..n) into row t of `batches`, from block `first_block` on.
template <typename K>
requires QuantizeKernel<K> && BatchedKernel<K>
void QuantizeIntoBatches(const float* x, size_t n, size_t first_block, size_t t,
                         const QuantizedRows& batches) noexcept {
  if constexpr (K::kQuantBatch == 1) {
    K::QuantizeActivations(x, n, batches.From(t).FromBlock(first_block));
  } else {
    // A few blocks at a time, in L1 for the moment until they are placed.
    constexpr size_t kBlocks = 16;
    alignas(kLineBytes) int8_t quants[kBlocks * kQuantBlock];
    float scales[kBlocks];
    int32_t sums[kBlocks], half_sums[kBlocks];
    for (size_t first = 0; first < n; first += kBlocks * kQuantBlock) {
      const size_t some = std::min(kBlocks * kQuantBlock, n - first);
      K::QuantizeActivations(x + first, some, {quants, scales, sums, half_sums, 0, 0});
      for (size_t b = 0; b * kQuantBlock < some; ++b) {
        PlaceBlock<K::kQuantBatch>(quants + b * kQuantBlock, scales[b], sums[b], half_sums[b],
                                   first_block + first / kQuantBlock + b, t, batches);
      }
    }
  }
}

}  // namespace tvl

#endif  // TVL_CORE_BATCHES_H_
