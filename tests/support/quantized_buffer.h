// Memory for quantised activations, between poisoned guards.
#ifndef TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_
#define TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_

#include <cstddef>
#include <cstdint>

#include "core/activations.h"
#include "tests/support/guarded_buffer.h"

namespace tvl::testing {

// `rows` rows of `n` numbers, zeroed, padding included. Scales and sums are exactly as many as
// there are blocks.
class QuantizedBuffer {
 public:
  QuantizedBuffer(size_t rows, size_t n)
      : quants_(rows * QuantizedRows::QuantStride(n)),
        scales_(rows * QuantizedRows::Blocks(n)),
        sums_(rows * QuantizedRows::Blocks(n)),
        n_(n) {}

  QuantizedRows view() {
    return {quants_.data(), scales_.data(), sums_.data(), QuantizedRows::QuantStride(n_),
            QuantizedRows::Blocks(n_)};
  }
  GuardedBuffer<int8_t>& quants() { return quants_; }
  GuardedBuffer<float>& scales() { return scales_; }
  GuardedBuffer<int32_t>& sums() { return sums_; }
  bool GuardsIntact() const {
    return quants_.GuardsIntact() && scales_.GuardsIntact() && sums_.GuardsIntact();
  }

 private:
  GuardedBuffer<int8_t> quants_;
  GuardedBuffer<float> scales_;
  GuardedBuffer<int32_t> sums_;
  size_t n_;
};

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_QUANTIZED_BUFFER_H_
