// A backend of another workspace: one operation of its own, the others inherited.
#ifndef MY_BACKEND_COLUMN_WISE_H_
#define MY_BACKEND_COLUMN_WISE_H_

#include <string_view>

#include "backends/highway_portable/highway_portable.h"
#include "core/activations.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"

struct ColumnWise : tvl::HighwayPortable {
  static constexpr std::string_view kName = "column_wise";

  template <tvl::WeightType W>
  static void Gemv(const tvl::TileMatrix& w, tvl::PanelRange panels, const tvl::RowsFor<W>& x,
                   float* y) noexcept {
    if constexpr (W == tvl::WeightType::kF32) {
      GemvF32(w, panels, x.data, y);
    } else {
      HighwayPortable::Gemv<W>(w, panels, x, y);
    }
  }

 private:
  static void GemvF32(const tvl::TileMatrix& w, tvl::PanelRange panels, const float* x,
                      float* y) noexcept;
};

static_assert(tvl::Kernel<ColumnWise>);

#endif  // MY_BACKEND_COLUMN_WISE_H_
