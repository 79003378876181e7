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
  QuantizedBuffer(size_t rows, size_t n)
      : rows_(rows),
        n_(n),
        quants_(Size(QuantizedRows::QuantStride(n), kQuantGap)),
        scales_(Size(QuantizedRows::Blocks(n), kBlockGap)),
        sums_(scales_.size()) {
    for (size_t t = 1; t < rows; ++t) {
      Poison(view().From(t).quants - kQuantGap, kQuantGap);
      Poison(view().From(t).scales - kBlockGap, kBlockGap * sizeof(float));
      Poison(view().From(t).sums - kBlockGap, kBlockGap * sizeof(int32_t));
    }
  }

  QuantizedRows view() {
    return {quants_.data(), scales_.data(), sums_.data(),
            QuantizedRows::QuantStride(n_) + kQuantGap, QuantizedRows::Blocks(n_) + kBlockGap};
  }
  GuardedBuffer<int8_t>& quants() { return quants_; }
  GuardedBuffer<float>& scales() { return scales_; }
  GuardedBuffer<int32_t>& sums() { return sums_; }
  bool GuardsIntact() const {
    return quants_.GuardsIntact() && scales_.GuardsIntact() && sums_.GuardsIntact();
  }

 private:
  static constexpr size_t kQuantGap = kSuperblock;
  static constexpr size_t kBlockGap = 3;

  size_t Size(size_t row, size_t gap) const { return rows_ == 0 ? 0 : rows_ * (row + gap) - gap; }

  size_t rows_;
  size_t n_;
  GuardedBuffer<int8_t> quants_;
  GuardedBuffer<float> scales_;
  GuardedBuffer<int32_t> sums_;
};

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_
