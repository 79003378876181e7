// A model of another workspace: no file, its weights are made by the program.
#ifndef MY_VIEW_COUNTING_MODEL_H_
#define MY_VIEW_COUNTING_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/model_config.h"
#include "core/model_view.h"
#include "core/tensor_view.h"
#include "core/tile.h"

// Counts: after token t it expects t + 1, and 0 after the last. A token's embedding is a one in the
// token's dimension, its classifier's row a one in that of the token before; the layer between adds
// nothing.
class CountingModel {
 public:
  // What a session gets: a copyable view, which the model must outlive.
  class View {
   public:
    explicit View(const CountingModel* model) : model_(model) {}
    const tvl::ModelConfig& config() const { return model_->config_; }
    tvl::TileMatrix embedding() const { return model_->Matrix(model_->embedding_); }
    tvl::LayerView layer(size_t i) const;
    std::span<const float> final_norm() const { return model_->ones_; }
    tvl::TileMatrix classifier() const { return model_->Matrix(model_->classifier_); }
    std::span<const float> rope_inv_freq() const { return model_->inv_freq_; }

   private:
    const CountingModel* model_;
  };

  // REQUIRES: `tokens` is even, from 2 to 1024: a head has as many dimensions.
  explicit CountingModel(uint32_t tokens);

  View view() const { return View(this); }

 private:
  // All matrices are square.
  using Buffer = tvl::AlignedBuffer<std::byte>;
  tvl::TileMatrix Matrix(const Buffer& buffer) const {
    return tvl::DenseTileMatrix(buffer.data(), tvl::WeightType::kF32, config_.dim, config_.dim);
  }

  tvl::ModelConfig config_;
  Buffer embedding_, classifier_, zeros_;
  std::vector<float> ones_, inv_freq_;
};

static_assert(tvl::ModelView<CountingModel::View>);

#endif  // MY_VIEW_COUNTING_MODEL_H_
