#include <cstddef>
#include <span>

#include "core/model_config.h"
#include "core/model_view.h"
#include "core/tensor_view.h"

struct MyView {
  const tvl::ModelConfig& config() const;
  tvl::TileMatrix embedding() const;
#ifndef MISSING
  tvl::LayerView layer(size_t i) const;
#endif
  std::span<const float> final_norm() const;
  tvl::TileMatrix classifier() const;
  std::span<const float> rope_inv_freq() const;
};

static_assert(tvl::ModelView<MyView>);
