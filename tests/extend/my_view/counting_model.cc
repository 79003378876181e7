#include "my_view/counting_model.h"

namespace {

// Tiles of a square matrix with ones where column = (row + shift) mod n.
tvl::AlignedBuffer<std::byte> Ones(size_t n, size_t shift) {
  const size_t panel_bytes = tvl::PanelBytes(tvl::WeightType::kF32, n);
  tvl::AlignedBuffer<std::byte> buffer(tvl::PanelCount(n) * panel_bytes);
  for (size_t row = 0; row < n; ++row) {
    const size_t panel = row / tvl::kPanelRows, r = row % tvl::kPanelRows;
    float* tiles = reinterpret_cast<float*>(buffer.data() + panel * panel_bytes);
    tiles[tvl::TileIndexF32(r, (row + shift) % n)] = 1;
  }
  return buffer;
}

}  // namespace

CountingModel::CountingModel(uint32_t tokens)
    : embedding_(Ones(tokens, 0)),
      classifier_(Ones(tokens, tokens - 1)),
      zeros_(embedding_.size()),
      ones_(tokens, 1.0f),
      inv_freq_(tokens / 2, 1.0f) {
  config_.dim = config_.hidden_dim = config_.vocab_size = tokens;
  config_.n_layers = config_.n_heads = config_.n_kv_heads = 1;
  config_.head_dim = config_.rope_dims = tokens;
  config_.context_length = 4 * tokens;
  config_.norm_epsilon = 1e-5f;
  config_.attention_scale = 1;
  config_.rope_base = 1;
}

tvl::LayerView CountingModel::View::layer(size_t) const {
  const tvl::TileMatrix zero = model_->Matrix(model_->zeros_);
  const std::span<const float> norm = model_->ones_;
  return {.attention_norm = norm,
          .wq = zero,
          .wk = zero,
          .wv = zero,
          .wo = zero,
          .ffn_norm = norm,
          .w13 = {zero, zero},
          .w2 = zero};
}
