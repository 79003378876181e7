// Memory for quantised activations, between poisoned guards.
#ifndef TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_
#define TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_

#include <cstddef>
#include <cstdint>

#include "core/activations.h"
#include "core/tile.h"
#include "tests/support/guarded_buffer.h"

namespace tvl::testing {

// `rows` rows of `n` numbers, zeroed, padding included. Poison lies between rows, as much as makes
// neither stride follow from the other: RunState pads both, each by a rule of its own.
class QuantizedBuffer {
 public:
  QuantizedBuffer(size_t rows, size_t n) : QuantizedBuffer(rows, n, kSuperblock, 3) {
    for (size_t t = 1; t < rows; ++t) {
      Poison(view().From(t).quants - quant_gap_, quant_gap_);
      Poison(view().From(t).scales - block_gap_, block_gap_ * sizeof(float));
      Poison(view().From(t).sums - block_gap_, block_gap_ * sizeof(int32_t));
      Poison(view().From(t).half_sums - block_gap_, block_gap_ * sizeof(int32_t));
    }
  }
  // Without anything between rows: for batches, in which rows are interleaved.
  static QuantizedBuffer Dense(size_t rows, size_t n) { return {rows, n, 0, 0}; }

  QuantizedRows view() {
    return {quants_.data(),
            scales_.data(),
            sums_.data(),
            half_sums_.data(),
            QuantizedRows::QuantStride(n_) + quant_gap_,
            QuantizedRows::Blocks(n_) + block_gap_};
  }
  GuardedBuffer<int8_t>& quants() { return quants_; }
  GuardedBuffer<float>& scales() { return scales_; }
  GuardedBuffer<int32_t>& sums() { return sums_; }
  GuardedBuffer<int32_t>& half_sums() { return half_sums_; }
  void PoisonData() {
    quants_.PoisonData();
    scales_.PoisonData();
    sums_.PoisonData();
    half_sums_.PoisonData();
  }
  bool GuardsIntact() const {
    return quants_.GuardsIntact() && scales_.GuardsIntact() && sums_.GuardsIntact() &&
           half_sums_.GuardsIntact();
  }

 private:
  QuantizedBuffer(size_t rows, size_t n, size_t quant_gap, size_t block_gap)
      : rows_(rows),
        n_(n),
        quant_gap_(quant_gap),
        block_gap_(block_gap),
        quants_(Size(QuantizedRows::QuantStride(n), quant_gap)),
        scales_(Size(QuantizedRows::Blocks(n), block_gap)),
        sums_(scales_.size()),
        half_sums_(scales_.size()) {}

  size_t Size(size_t row, size_t gap) const { return rows_ == 0 ? 0 : rows_ * (row + gap) - gap; }

  size_t rows_;
  size_t n_;
  size_t quant_gap_;
  size_t block_gap_;
  GuardedBuffer<int8_t> quants_;
  GuardedBuffer<float> scales_;
  GuardedBuffer<int32_t> sums_;
  GuardedBuffer<int32_t> half_sums_;
};

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_
