// The ModelView concept: typed, non-owning views of one model's weights.
#ifndef TVL_CORE_MODEL_VIEW_H_
#define TVL_CORE_MODEL_VIEW_H_

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "core/model_config.h"
#include "core/tensor_view.h"

namespace tvl {

// Weights of one transformer layer, in the order in which decoding walks them. Names are those of
// the Llama paper's code.
struct LayerView {
  std::span<const float> attention_norm;  // (dim)
  // Where the architecture has them, else empty.
  std::span<const float> bq = {};      // (n_heads * head_dim)
  std::span<const float> bk = {};      // (n_kv_heads * head_dim)
  std::span<const float> bv = {};      // (n_kv_heads * head_dim)
  std::span<const float> q_norm = {};  // (head_dim), of every query head
  std::span<const float> k_norm = {};  // (head_dim), of every key head
  std::span<const float> bo = {};      // (dim)
  std::span<const float> b1 = {};      // (hidden_dim)
  std::span<const float> b3 = {};      // (hidden_dim)
  std::span<const float> b2 = {};      // (dim)
  TileMatrix wq;                       // (n_heads * head_dim, dim)
  TileMatrix wk;                       // (n_kv_heads * head_dim, dim)
  TileMatrix wv;                       // (n_kv_heads * head_dim, dim)
  TileMatrix wo;                       // (dim, n_heads * head_dim)
  std::span<const float> ffn_norm;     // (dim)
  TilePair w13;                        // gate w1 and up w3, each (hidden_dim, dim)
  TileMatrix w2;                       // (dim, hidden_dim)
};

// A model as the forward pass sees it. Trivially copyable: a view is a handful of pointers into
// memory that somebody else owns (a mapped .tvl file, the program's image, a test's buffers) and
// must keep alive.
//
// REQUIRES of every implementation, to be checked where the view is made and not again: the
// configuration is valid (ValidateModelConfig), every matrix has the shape above, a computable type
// and 64-byte aligned data. Padding must be +0; anything else gives wrong numbers, not a fault.
template <typename M>
concept ModelView = std::is_trivially_copyable_v<M> && requires(const M& m, size_t i) {
  { m.config() } -> std::convertible_to<const ModelConfig&>;
  { m.embedding() } -> std::convertible_to<TileMatrix>;               // (vocab_size, dim)
  { m.layer(i) } -> std::convertible_to<LayerView>;                   // i < n_layers
  { m.final_norm() } -> std::convertible_to<std::span<const float>>;  // (dim)
  {
    m.classifier()
    } -> std::convertible_to<TileMatrix>;  // (vocab_size, dim); the embedding when tied
  { m.rope_inv_freq() } -> std::convertible_to<std::span<const float>>;  // (rope_dims / 2)
};

}  // namespace tvl

#endif  // TVL_CORE_MODEL_VIEW_H_
