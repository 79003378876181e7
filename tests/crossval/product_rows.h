// What a product wrote: the right numbers, and nothing else.
#ifndef TVL_TESTS_CROSSVAL_PRODUCT_ROWS_H_
#define TVL_TESTS_CROSSVAL_PRODUCT_ROWS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "core/tensor_view.h"
#include "core/tile.h"
#include "tests/support/equality.h"
#include "tests/support/guarded_buffer.h"

namespace tvl::testing {

// y: (tokens, y_stride), poison before the product of some panels of a matrix of `rows` rows.
// reference(t) is the whole product of token t.
template <typename Reference>
void ExpectRows(const GuardedBuffer<float>& y, size_t y_stride, size_t rows, PanelRange panels,
                size_t tokens, Reference&& reference) {
  const size_t first = panels.begin * kPanelRows;
  const size_t last = std::min(panels.end * kPanelRows, rows);
  for (size_t t = 0; t < tokens; ++t) {
    const std::vector<float> expected = reference(t);
    const std::span<const float> row = y.span().subspan(t * y_stride, y_stride);
    if (first < last) {
      ASSERT_TRUE(AllEqual(std::span(expected).subspan(first, last - first),
                           row.subspan(first, last - first)))
          << "token " << t << " of " << tokens;
    }
    const size_t from = first < last ? first : 0, to = first < last ? last : 0;
    ASSERT_TRUE(IsPoison(row.data(), from * sizeof(float)));
    ASSERT_TRUE(IsPoison(row.data() + to, (y_stride - to) * sizeof(float)));
  }
  ASSERT_TRUE(y.GuardsIntact());
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_PRODUCT_ROWS_H_
