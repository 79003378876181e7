// The forward pass of Llama-family models.
#ifndef TVL_MODELS_LLAMA_H_
#define TVL_MODELS_LLAMA_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "core/activations.h"
#include "core/attention.h"
#include "core/canonical_math.h"
#include "core/kernel.h"
#include "core/kv_cache.h"
#include "core/model_config.h"
#include "core/model_view.h"
#include "core/run_state.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "core/token.h"
#include "core/trace.h"

namespace tvl {

// Computes with the kernels of K on the weights of M. Stateless: sequence state is in KvCache and
// RunState, so one Llama serves any number of sessions.
//
// All threads walk the pass together and meet at a barrier where one needs what another wrote: five
// times per layer when decoding (after q|k|v, attention, wo, gate|up, down), three or four times
// more for a chunk, whose norms, quantisation and cache appends are shared out by token and by
// head. Rows of a matrix are shared out in units of 32, contiguously; no sum crosses threads, so
// the thread count changes no bit.
template <Kernel K, ModelView M>
class Llama {
 public:
  enum class Logits { kNone, kLast, kAll };

  explicit Llama(M model) : model_(model), config_(model.config()) {}

  const ModelConfig& config() const { return config_; }

  // Runs `tokens` as the positions position, position + 1 ... of the sequence in `cache` and leaves
  // logits in state.logits: row 0 for kLast, row t for token t for kAll. Each token gets the bits
  // that it gets alone. REQUIRES: 1 <= tokens.size() <= state.shape().max_tokens, every id below
  // vocab_size, position + tokens.size() <= cache.capacity() and state.shape().context, logit_rows
  // >= tokens.size() for kAll, pool.threads() <= state.shape().threads, and the earlier positions
  // were run before.
  void Forward(std::span<const TokenId> tokens, size_t position, Logits logits, KvCache& cache,
               RunState& state, ThreadPool& pool) const {
    pool.Run([&](const Worker& worker) {
      Pass{*this, tokens, position, cache, state, worker}.Run(logits);
    });
  }

 private:
  using Worker = ThreadPool::Worker;

  // One thread's walk through one pass.
  struct Pass {
    const Llama& llama;
    std::span<const TokenId> tokens;
    size_t position;
    KvCache& cache;
    RunState& s;
    const Worker& worker;

    const ModelConfig& c() const { return llama.config_; }
    bool decoding() const { return tokens.size() == 1; }

    TraceScope Traced(TraceOp op) const { return TraceScope(worker.trace(), op); }

    void Run(Logits logits) {
      if (worker.trace() != nullptr) worker.trace()->SetPosition(position);
      const TraceScope traced = Traced(TraceOp::kPass);
      Embed();
      worker.Sync();
      for (size_t layer = 0; layer < c().n_layers; ++layer) RunLayer(layer);
      if (worker.trace() != nullptr) worker.trace()->SetNoLayer();
      Classify(logits);
    }

    void RunLayer(size_t layer) {
      if (worker.trace() != nullptr) worker.trace()->SetLayer(layer);
      const TraceScope traced = Traced(TraceOp::kLayer);
      AttentionBlock(layer, llama.model_.layer(layer));
      FeedForwardBlock(llama.model_.layer(layer));
    }

    // Also the sines and cosines of every position, once for all layers.
    void Embed() {
      const TraceScope traced = Traced(TraceOp::kEmbed);
      const TileMatrix embedding = llama.model_.embedding();
      const std::span<const float> inv_freq = llama.model_.rope_inv_freq();
      const auto [begin, end] = worker.Share(tokens.size());
      for (size_t t = begin; t < end; ++t) {
        EmbedRow<K>(embedding, static_cast<size_t>(tokens[t]), s.x.Row(t));
        for (size_t i = 0; i < inv_freq.size(); ++i) {
          const SinCos angle =
              CanonicalSinCos(static_cast<double>(position + t) * static_cast<double>(inv_freq[i]));
          s.cos.Row(t)[i] = static_cast<float>(angle.cos);
          s.sin.Row(t)[i] = static_cast<float>(angle.sin);
        }
      }
    }

    // The rows that this thread prepares of a vector that all threads then read: of one token a
    // copy of its own, which is cheaper than a barrier; of a chunk its share, and then they meet.
    // prepare(t, row) makes row `row` from token t. Returns the first row to read from.
    template <typename F>
    size_t Prepare(F&& prepare) {
      if (decoding()) {
        prepare(0, worker.index());
        return worker.index();
      }
      const auto [begin, end] = worker.Share(tokens.size());
      for (size_t t = begin; t < end; ++t) prepare(t, t);
      worker.Sync();
      return 0;
    }

    // Token t's residual stream, normed into row `row` of s.xn, and of s.xn_quants if `quantized`.
    void Norm(size_t t, std::span<const float> weight, bool quantized, size_t row) {
      K::RmsNorm(s.x.Row(t), weight.data(), c().dim, c().norm_epsilon, s.xn.Row(row));
      if (quantized) K::QuantizeActivations(s.xn.Row(row), c().dim, s.xn_quants.From(row));
    }

    Activations NormedFrom(size_t row) const {
      return {{s.xn.Row(row), s.xn.stride}, s.xn_quants.From(row)};
    }

    // The normed residual stream of all tokens, as weights of these types take it.
    Activations Normed(std::span<const float> weight, bool quantized) {
      const TraceScope traced = Traced(TraceOp::kNorm);
      return NormedFrom(Prepare([&](size_t t, size_t row) { Norm(t, weight, quantized, row); }));
    }

    // Attention's output, as weights of wo's type take it.
    Activations Attended(const TileMatrix& wo) {
      if (!IsQuantized(wo.type)) return {{s.att.data, s.att.stride}, {}};
      const TraceScope traced = Traced(TraceOp::kNorm);
      const size_t first = Prepare([&](size_t t, size_t row) {
        K::QuantizeActivations(s.att.Row(t), c().q_dim(), s.att_quants.From(row));
      });
      return {{}, s.att_quants.From(first)};
    }

    static_assert(kUnitRows == kQuantBlock);

    // One matrix of a group that is walked in one region.
    struct Product {
      const TileMatrix& w;
      const Lane& y;
    };

    static size_t Units(const TileMatrix& w) {
      return (w.panels() + kPanelsPerUnit - 1) / kPanelsPerUnit;
    }

    // This thread's share of the products of all tokens with the matrices of a group, as if they
    // were one matrix.
    template <size_t N>
    void Multiply(const Product (&group)[N], const Activations& x, size_t rows) {
      size_t total = 0;
      for (const Product& p : group) total += Units(p.w);
      const auto [begin, end] = worker.Share(total);
      size_t first = 0;  // unit of the group at which this matrix starts
      for (const Product& p : group) {
        const size_t units = Units(p.w);
        const size_t from = std::clamp(begin, first, first + units) - first;
        const size_t to = std::clamp(end, first, first + units) - first;
        first += units;
        if (from == to) continue;
        const PanelRange panels = {from * kPanelsPerUnit,
                                   std::min(to * kPanelsPerUnit, p.w.panels())};
        Gemm<K>(p.w, panels, x, rows, p.y.data, p.y.stride);
      }
    }

    // x += w * y, each thread for the rows that it multiplies.
    void AddToResidual(const TileMatrix& w, const Activations& y, TraceOp op) {
      const TraceScope traced = Traced(op);
      Multiply<1>({{w, s.delta}}, y, tokens.size());
      const auto [begin, end] = worker.Share(Units(w));
      const size_t first = std::min<size_t>(begin * kUnitRows, w.rows);
      const size_t rows = std::min<size_t>(end * kUnitRows, w.rows) - first;
      for (size_t t = 0; t < tokens.size(); ++t)
        K::Add(s.delta.Row(t) + first, rows, s.x.Row(t) + first);
    }

    void AttentionBlock(size_t layer, const LayerView& w) {
      const Activations xn =
          Normed(w.attention_norm,
                 IsQuantized(w.wq.type) || IsQuantized(w.wk.type) || IsQuantized(w.wv.type));
      {
        const TraceScope traced = Traced(TraceOp::kQkv);
        Multiply<3>({{w.wq, s.q}, {w.wk, s.k}, {w.wv, s.v}}, xn, tokens.size());
      }
      worker.Sync();
      AppendAndAttend(layer);
      worker.Sync();
      AddToResidual(w.wo, Attended(w.wo), TraceOp::kWo);
      worker.Sync();
    }

    void AppendAndAttend(size_t layer) {
      const TraceScope traced = Traced(TraceOp::kAttention);
      if (decoding()) {
        const auto [begin, end] = worker.Share(c().n_kv_heads);
        for (size_t head = begin; head < end; ++head) {
          Append(layer, head);
          AttendGroup(layer, head, 0);
        }
      } else {
        const auto [begin, end] = worker.Share(c().n_kv_heads);
        for (size_t head = begin; head < end; ++head) Append(layer, head);
        worker.Sync();
        const auto [first, last] = worker.Share(c().n_kv_heads * tokens.size());
        for (size_t i = first; i < last; ++i)
          AttendGroup(layer, i / tokens.size(), i % tokens.size());
      }
    }

    // Rotates a head of token t from `in` to `out`; dimensions beyond rope_dims pass through.
    void Rotate(size_t t, const float* in, float* out) {
      K::Rope(in, s.cos.Row(t), s.sin.Row(t), c().rope_dims, out);
      if (c().rope_dims < c().head_dim) {
        std::memcpy(out + c().rope_dims, in + c().rope_dims,
                    (c().head_dim - c().rope_dims) * sizeof(float));
      }
    }

    void Append(size_t layer, size_t head) {
      const KvSlot slot = cache.Slot(layer, head);
      float* rotated = s.k_rot.Row(worker.index());
      for (size_t t = 0; t < tokens.size(); ++t) {
        Rotate(t, s.k.Row(t) + head * c().head_dim, rotated);
        K::AppendKey(rotated, position + t, slot);
        K::AppendValue(s.v.Row(t) + head * c().head_dim, position + t, slot);
      }
    }

    // Attention of token t for all query heads of one KV head.
    void AttendGroup(size_t layer, size_t kv_head, size_t t) {
      const size_t group = c().heads_per_kv();
      const size_t offset = kv_head * group * c().head_dim;
      const size_t scratch_row = worker.index() * group;
      float* q_rot = s.q_rot.Row(scratch_row);
      for (size_t h = 0; h < group; ++h) {
        Rotate(t, s.q.Row(t) + offset + h * c().head_dim, q_rot + h * s.q_rot.stride);
      }
      Attend<K>(cache.Slot(layer, kv_head), position + t + 1, q_rot, s.q_rot.stride, group,
                c().attention_scale, s.scores.Row(scratch_row), s.scores.stride,
                s.att.Row(t) + offset, c().head_dim);
    }

    void FeedForwardBlock(const LayerView& w) {
      const TileMatrix& gate = w.w13.first;
      const Activations xn = Normed(w.ffn_norm, IsQuantized(gate.type));
      GateUp(w, xn);
      worker.Sync();
      AddToResidual(w.w2, {{s.gate.data, s.gate.stride}, s.gate_quants}, TraceOp::kW2);
      worker.Sync();
    }

    void GateUp(const LayerView& w, const Activations& xn) {
      const TraceScope traced = Traced(TraceOp::kGateUp);
      const TileMatrix& gate = w.w13.first;
      const auto [begin, end] = worker.Share(Units(gate));
      // A unit of gate, the unit of up beside it, then SwiGLU and what w2 wants while both are in
      // cache.
      for (size_t unit = begin; unit < end; ++unit) {
        const PanelRange panels = {unit * kPanelsPerUnit,
                                   std::min((unit + 1) * kPanelsPerUnit, gate.panels())};
        Gemm<K>(gate, panels, xn, tokens.size(), s.gate.data, s.gate.stride);
        Gemm<K>(w.w13.second, panels, xn, tokens.size(), s.up.data, s.up.stride);
        const size_t first = unit * kUnitRows;
        const size_t rows = std::min<size_t>(kUnitRows, c().hidden_dim - first);
        for (size_t t = 0; t < tokens.size(); ++t) {
          K::SwiGlu(s.gate.Row(t) + first, s.up.Row(t) + first, rows, s.gate.Row(t) + first);
          // A unit's rows are a block of w2's inputs.
          if (IsQuantized(w.w2.type)) {
            K::QuantizeActivations(s.gate.Row(t) + first, rows,
                                   s.gate_quants.From(t).FromBlock(unit));
          }
        }
      }
    }

    void Classify(Logits logits) {
      if (logits == Logits::kNone) return;
      const TraceScope traced = Traced(TraceOp::kClassifier);
      const TileMatrix classifier = llama.model_.classifier();
      const std::span<const float> weight = llama.model_.final_norm();
      const bool quantized = IsQuantized(classifier.type);
      if (logits == Logits::kAll) {
        Multiply<1>({{classifier, s.logits}}, Normed(weight, quantized), tokens.size());
        return;
      }
      Norm(tokens.size() - 1, weight, quantized, worker.index());
      Multiply<1>({{classifier, s.logits}}, NormedFrom(worker.index()), 1);
    }
  };

  M model_;
  ModelConfig config_;
};

}  // namespace tvl

#endif  // TVL_MODELS_LLAMA_H_
