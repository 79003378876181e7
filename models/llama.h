// The forward pass of Llama-family models.
#ifndef TVL_MODELS_LLAMA_H_
#define TVL_MODELS_LLAMA_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <span>
#include <utility>

#include "core/activations.h"
#include "core/architecture.h"
#include "core/attention.h"
#include "core/batches.h"
#include "core/canonical_math.h"
#include "core/kernel.h"
#include "core/kv_append.h"
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
// times per layer when decoding (after q|k|v, attention, wo, gate|up, down), four times more for a
// chunk, whose norms, quantisation and cache appends are shared out by token and by head. Rows of a
// matrix are shared out in units of 32; no sum crosses threads, so their number changes no bit.
template <Kernel K, ModelView M>
class Llama {
 public:
  enum class Logits { kNone, kLast, kAll };

  // REQUIRES: model.config() is valid.
  explicit Llama(M model)
      : model_(model), config_(model.config()), run_(PassOf(config_.architecture)) {}

  const ModelConfig& config() const { return config_; }

  // Runs `tokens` as the positions position, position + 1 ... of the sequence in `cache` and leaves
  // logits in state.logits: row 0 for kLast, row t for token t for kAll. Each token gets the bits
  // that it gets alone. REQUIRES: 1 <= tokens.size() <= state.shape().max_tokens, every id below
  // vocab_size, position + tokens.size() <= cache.capacity() and state.shape().context, logit_rows
  // >= tokens.size() for kAll, pool.threads() <= state.shape().threads, and the earlier positions
  // were run before.
  void Forward(std::span<const TokenId> tokens, size_t position, Logits logits, KvCache& cache,
               RunState& state, ThreadPool& pool) const {
    pool.Run(
        [&](const Worker& worker) { run_(*this, tokens, position, logits, cache, state, worker); });
  }

 private:
  using Worker = ThreadPool::Worker;

  // One thread's walk through one pass, of one architecture.
  template <ArchitectureTraits A>
  struct Pass {
    const Llama& llama;
    std::span<const TokenId> tokens;
    size_t position;
    KvCache& cache;
    RunState& s;
    const Worker& worker;

    const ModelConfig& c() const { return llama.config_; }
    bool decoding() const { return tokens.size() == 1; }

    // The forms in which a group of matrices takes its input.
    struct Wanted {
      bool floats = false;
      bool quants = false;
    };
    template <typename... Matrices>
    static Wanted WantedBy(const Matrices&... w) {
      return {(!IsQuantized(w.type) || ...), (IsQuantized(w.type) || ...)};
    }

    TraceScope Traced(TraceOp op) const { return TraceScope(worker.trace(), op); }

    void Run(Logits logits) {
      if (worker.trace() != nullptr) worker.trace()->SetPosition(position);
      const TraceScope traced = Traced(TraceOp::kPass);
      Embed();
      worker.Sync();
      const bool cut = !decoding() && logits != Logits::kAll;
      for (size_t layer = 0; layer + cut < c().n_layers; ++layer) RunLayer(layer);
      cut ? RunLastLayerOfChunk(logits) : Classify(logits);
    }

    // Of a chunk's other tokens the last layer makes keys and values only. The last token goes on
    // as if alone, in row 0, which gives it the same bits.
    void RunLastLayerOfChunk(Logits logits) {
      const size_t layer = c().n_layers - 1, last = tokens.size() - 1;
      const LayerView& w = llama.model_.layer(layer);
      Pass alone = {llama, tokens.last(1), position + last, cache, s, worker};
      if (worker.trace() != nullptr) worker.trace()->SetLayer(layer);
      {
        const TraceScope traced = Traced(TraceOp::kLayer);
        AppendOnly(layer, w);
        if (logits == Logits::kLast) {
          worker.Sync();
          if (worker.index() == 0) {
            for (const Lane* lane : {&s.x, &s.cos, &s.sin})
              std::memcpy(lane->Row(0), lane->Row(last), lane->stride * sizeof(float));
          }
          worker.Sync();
          alone.AttentionBlock(layer, w, /*appended=*/true);
          alone.FeedForwardBlock(w);
        }
      }
      alone.Classify(logits);
    }

    // Puts the keys and values of a chunk into the cache, and does no more.
    void AppendOnly(size_t layer, const LayerView& w) {
      Project({{w.wk, s.k, w.bk}, {w.wv, s.v, w.bv}},
              Normed(w.attention_norm, WantedBy(w.wk, w.wv)));
      worker.Sync();
      const TraceScope traced = Traced(TraceOp::kAttention);
      AppendChunk(layer, w);
    }

    void RunLayer(size_t layer) {
      if (worker.trace() != nullptr) worker.trace()->SetLayer(layer);
      const TraceScope traced = Traced(TraceOp::kLayer);
      AttentionBlock(layer, llama.model_.layer(layer), /*appended=*/false);
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

    static constexpr size_t kB = K::kFloatBatch;

    // Token t's residual stream, normed into one of this thread's rows.
    const float* Norm(size_t t, std::span<const float> weight, size_t i) {
      float* row = s.xn.Row(worker.index() * kB + i);
      K::RmsNorm(s.x.Row(t), weight.data(), c().dim, c().norm_epsilon, row);
      return row;
    }

    // Calls f(t, count) for this thread's share of the tokens, in whole batches of floats.
    template <typename F>
    void ForBatches(F&& f) {
      const auto [begin, end] = worker.Share((tokens.size() + kB - 1) / kB);
      for (size_t i = begin; i < end; ++i) f(i * kB, std::min(kB, tokens.size() - i * kB));
    }

    // The normed residual stream of all tokens, as weights of these types take it; of one token by
    // each thread for itself.
    Activations Normed(std::span<const float> weight, Wanted wanted) {
      const TraceScope traced = Traced(TraceOp::kNorm);
      if (decoding()) {
        const float* row = Norm(0, weight, 0);
        const QuantizedRows quants = s.xn_quants.From(worker.index());
        if (wanted.quants) K::QuantizeActivations(row, c().dim, quants);
        return {{row, 0}, quants};
      }
      ForBatches([&](size_t t, size_t count) {
        for (size_t i = 0; i < count; ++i) {
          const float* row = Norm(t + i, weight, i);
          if (wanted.quants) QuantizeIntoBatches<K>(row, c().dim, 0, t + i, s.xn_quant_batches);
        }
        if (wanted.floats)
          PlaceTokens(s.xn.Row(worker.index() * kB), s.xn.stride, count, c().dim, t, s.xn_batches);
      });
      worker.Sync();
      return {{s.xn_batches.data, s.xn_batches.stride}, s.xn_quant_batches};
    }

    static void PlaceTokens(const float* rows, size_t row_stride, size_t count, size_t n, size_t t,
                            const Lane& batches) {
      PlaceRows<kB>(rows, row_stride, count, n, RoundUp(n, kDotChains), 0, t, batches.data,
                    batches.stride);
    }

    // Attention's output, as weights of wo's type take it.
    Activations Attended(const TileMatrix& wo) {
      const bool quantized = IsQuantized(wo.type);
      if (!quantized && (decoding() || kB == 1)) return {{s.att.data, s.att.stride}, {}};
      const TraceScope traced = Traced(TraceOp::kNorm);
      if (decoding()) {
        const QuantizedRows quants = s.att_quants.From(worker.index());
        K::QuantizeActivations(s.att.Row(0), c().q_dim(), quants);
        return {{}, quants};
      }
      ForBatches([&](size_t t, size_t count) {
        if (!quantized)
          return PlaceTokens(s.att.Row(t), s.att.stride, count, c().q_dim(), t, s.att_batches);
        for (size_t i = t; i < t + count; ++i)
          QuantizeIntoBatches<K>(s.att.Row(i), c().q_dim(), 0, i, s.att_quant_batches);
      });
      worker.Sync();
      return {{s.att_batches.data, s.att_batches.stride}, s.att_quant_batches};
    }

    static_assert(kUnitRows == kQuantBlock);

    // One matrix of a group that is walked in one region.
    struct Product {
      const TileMatrix& w;
      const Lane& y;
      std::span<const float> bias = {};
    };

    static size_t Units(const TileMatrix& w) {
      return (w.panels() + kPanelsPerUnit - 1) / kPanelsPerUnit;
    }

    // Calls f(product, panels) for this thread's share of the matrices of a group, as if they were
    // one matrix.
    template <size_t N, typename F>
    void ForShare(const Product (&group)[N], F&& f) {
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
        f(p, PanelRange{from * kPanelsPerUnit, std::min(to * kPanelsPerUnit, p.w.panels())});
      }
    }

    template <size_t N>
    void Multiply(const Product (&group)[N], const Activations& x, size_t rows) {
      ForShare(group, [&](const Product& p, PanelRange panels) {
        Gemm<K>(p.w, panels, x, rows, p.y.data, p.y.stride);
      });
    }

    // For this thread's share of the products.
    template <size_t N>
    void AddBiases(const Product (&group)[N]) {
      ForShare(group, [&](const Product& p, PanelRange panels) {
        const size_t first = panels.begin * kPanelRows;
        const size_t rows = std::min<size_t>(panels.end * kPanelRows, p.w.rows) - first;
        for (size_t t = 0; t < tokens.size(); ++t)
          K::Add(p.bias.data() + first, rows, p.y.Row(t) + first);
      });
    }

    // x += w * y + bias, each thread for the rows that it multiplies.
    void AddToResidual(const TileMatrix& w, std::span<const float> bias, const Activations& y,
                       TraceOp op) {
      const TraceScope traced = Traced(op);
      const Product group[] = {{w, s.delta, bias}};
      Multiply(group, y, tokens.size());
      if constexpr (A.output_bias) AddBiases(group);
      const auto [begin, end] = worker.Share(Units(w));
      const size_t first = std::min<size_t>(begin * kUnitRows, w.rows);
      const size_t rows = std::min<size_t>(end * kUnitRows, w.rows) - first;
      for (size_t t = 0; t < tokens.size(); ++t)
        K::Add(s.delta.Row(t) + first, rows, s.x.Row(t) + first);
    }

    // `appended`: the keys and values of this layer are in the cache already.
    void AttentionBlock(size_t layer, const LayerView& w, bool appended) {
      const Activations xn = Normed(w.attention_norm, WantedBy(w.wq, w.wk, w.wv));
      appended ? Project({{w.wq, s.q, w.bq}}, xn)
               : Project({{w.wq, s.q, w.bq}, {w.wk, s.k, w.bk}, {w.wv, s.v, w.bv}}, xn);
      worker.Sync();
      AppendAndAttend(layer, w, appended);
      worker.Sync();
      AddToResidual(w.wo, w.bo, Attended(w.wo), TraceOp::kWo);
      worker.Sync();
    }

    // Queries, keys and values, or some of these.
    template <size_t N>
    void Project(const Product (&group)[N], const Activations& xn) {
      const TraceScope traced = Traced(TraceOp::kQkv);
      Multiply(group, xn, tokens.size());
      if constexpr (A.qkv_bias) AddBiases(group);
    }

    void AppendAndAttend(size_t layer, const LayerView& w, bool appended) {
      const TraceScope traced = Traced(TraceOp::kAttention);
      if (decoding()) {
        const auto [begin, end] = worker.Share(c().n_kv_heads);
        for (size_t head = begin; head < end; ++head) {
          if (!appended) Append(layer, w, head, 0, 1);
          AttendGroup(layer, w, head, 0, 1);
        }
      } else {
        AppendChunk(layer, w);
        worker.Sync();
        const size_t together = RunState::AttentionTokens(c());
        const size_t parts = (tokens.size() + together - 1) / together;
        const auto [first, last] = worker.Share(c().n_kv_heads * parts);
        for (size_t i = first; i < last; ++i) {
          const size_t begin = i % parts * together;
          AttendGroup(layer, w, i / parts, begin, std::min(together, tokens.size() - begin));
        }
      }
    }

    // A head of queries or keys of token t, from `in` to `out`: normed where the architecture says
    // so, then turned by RoPE; dimensions beyond rope_dims are not turned.
    void Rotate(size_t t, const float* in, [[maybe_unused]] std::span<const float> norm,
                float* out) {
      if constexpr (A.qk_norm) {
        K::RmsNorm(in, norm.data(), c().head_dim, c().norm_epsilon, out);
        in = out;
      }
      K::Rope(in, s.cos.Row(t), s.sin.Row(t), c().rope_dims, out);
      if (in != out && c().rope_dims < c().head_dim) {
        std::memcpy(out + c().rope_dims, in + c().rope_dims,
                    (c().head_dim - c().rope_dims) * sizeof(float));
      }
    }

    // Tokens [begin, begin + count) of a head.
    void Append(size_t layer, const LayerView& w, size_t head, size_t begin, size_t count) {
      const KvSlot slot = cache.Slot(layer, head);
      float* rotated = s.k_rot.Row(worker.index());
      for (size_t t = begin; t < begin + count; ++t) {
        Rotate(t, s.k.Row(t) + head * c().head_dim, w.k_norm, rotated);
        AppendKey<K>(rotated, position + t, slot);
        AppendValue<K>(s.v.Row(t) + head * c().head_dim, position + t, slot);
      }
    }

    // All tokens of all heads, shared out by whole panels of positions, since neighbours touch the
    // same lines.
    void AppendChunk(size_t layer, const LayerView& w) {
      const size_t first_panel = position / kPanelRows;
      const size_t panels = PanelCount(position + tokens.size()) - first_panel;
      const auto [first, last] = worker.Share(c().n_kv_heads * panels);
      for (size_t i = first; i < last; ++i) {
        const size_t panel = (first_panel + i % panels) * kPanelRows;
        const size_t begin = std::max(panel, position) - position;
        const size_t end = std::min(panel + kPanelRows - position, tokens.size());
        Append(layer, w, i / panels, begin, end - begin);
      }
    }

    // Attention of tokens [begin, begin + count) for all query heads of one KV head.
    void AttendGroup(size_t layer, const LayerView& w, size_t kv_head, size_t begin, size_t count) {
      const size_t group = c().heads_per_kv();
      const size_t offset = kv_head * group * c().head_dim;
      const size_t row = worker.index() * s.attention_rows();
      float* q_rot = s.q_rot.Row(row);
      for (size_t i = 0; i < count * group; ++i) {
        const size_t t = begin + i / group, head = i % group;
        Rotate(t, s.q.Row(t) + offset + head * c().head_dim, w.q_norm, q_rot + i * s.q_rot.stride);
      }
      const AttentionScratch scratch = {.q_batches = s.q_batches.Row(row),
                                        .q_stride = s.q_batches.stride,
                                        .q_quants = s.q_quants.From(row),
                                        .scores = s.scores.Row(row),
                                        .scaled = s.scaled_scores.Row(row),
                                        .batches = s.score_batches.Row(row),
                                        .scores_stride = s.scores.stride,
                                        .out = s.att_rows.Row(row)};
      Attend<K>(cache.Slot(layer, kv_head), position + begin + 1, count, group, q_rot,
                s.q_rot.stride, c().attention_scale, scratch, s.att.Row(begin) + offset,
                s.att.stride, Window());
    }

    auto Window() const {
      if constexpr (A.sliding_window) {
        return SlidingWindow{c().sliding_window};
      } else {
        return NoWindow();
      }
    }

    // A unit of gate, the unit of up beside it, then SwiGLU and what w2 wants while both are in
    // cache.
    void FeedForwardBlock(const LayerView& w) {
      const Activations xn = Normed(w.ffn_norm, WantedBy(w.w13.first));
      GateUp(w, xn);
      worker.Sync();
      AddToResidual(w.w2, w.b2, Gated(), TraceOp::kW2);
      worker.Sync();
    }

    void GateUp(const LayerView& w, const Activations& xn) {
      const TraceScope traced = Traced(TraceOp::kGateUp);
      const TileMatrix& gate = w.w13.first;
      const auto [begin, end] = worker.Share(Units(gate));
      for (size_t unit = begin; unit < end; ++unit) {
        const TileMatrix g = UnitOf(gate, unit), u = UnitOf(w.w13.second, unit);
        decoding() ? GateUnit(w, unit, g, u, xn) : GateUnitOfChunk(w, unit, g, u, xn);
      }
    }

    // The biases of a unit of gate and of up, where there are any.
    static void AddGateBiases(const LayerView& w, size_t unit, size_t rows, float* gate,
                              float* up) {
      if constexpr (A.output_bias) {
        K::Add(w.b1.data() + unit * kUnitRows, rows, gate);
        K::Add(w.b3.data() + unit * kUnitRows, rows, up);
      }
    }

    void GateUnit(const LayerView& w, size_t unit, const TileMatrix& g, const TileMatrix& u,
                  const Activations& xn) {
      float* gate = s.gate.data + unit * kUnitRows;
      float* up = s.up.data + unit * kUnitRows;
      Gemv<K>(g, {0, g.panels()}, xn, gate);
      Gemv<K>(u, {0, u.panels()}, xn, up);
      AddGateBiases(w, unit, g.rows, gate, up);
      K::SwiGlu(gate, up, g.rows, gate);
      // A unit's rows are a block of w2's inputs.
      if (IsQuantized(w.w2.type))
        K::QuantizeActivations(gate, g.rows, s.gate_quants.FromBlock(unit));
    }

    void GateUnitOfChunk(const LayerView& w, size_t unit, const TileMatrix& g, const TileMatrix& u,
                         const Activations& xn) {
      const bool quantized = IsQuantized(w.w2.type);
      const size_t lane_row = worker.index() * s.shape().max_tokens;
      float* gates = s.gate_units.Row(lane_row);
      float* ups = s.up_units.Row(lane_row);
      Gemm<K>(g, {0, g.panels()}, xn, tokens.size(), gates, kUnitRows);
      Gemm<K>(u, {0, u.panels()}, xn, tokens.size(), ups, kUnitRows);
      for (size_t t = 0; t < tokens.size(); ++t) {
        float* gate = gates + t * kUnitRows;
        float* up = ups + t * kUnitRows;
        AddGateBiases(w, unit, g.rows, gate, up);
        K::SwiGlu(gate, up, g.rows, gate);
        if (quantized) QuantizeIntoBatches<K>(gate, g.rows, unit, t, s.gate_quant_batches);
      }
      if (quantized) return;
      for (size_t t = 0; t < tokens.size(); t += kB) {
        PlaceRows<kB>(gates + t * kUnitRows, kUnitRows, std::min(kB, tokens.size() - t), g.rows,
                      RoundUp(g.rows, kDotChains), unit * kUnitRows, t, s.gate_batches.data,
                      s.gate_batches.stride);
      }
    }

    Activations Gated() const {
      if (decoding()) return {{s.gate.data, s.gate.stride}, s.gate_quants};
      return {{s.gate_batches.data, s.gate_batches.stride}, s.gate_quant_batches};
    }

    void Classify(Logits logits) {
      if (worker.trace() != nullptr) worker.trace()->SetNoLayer();
      if (logits == Logits::kNone) return;
      const TraceScope traced = Traced(TraceOp::kClassifier);
      const TileMatrix classifier = llama.model_.classifier();
      const Activations xn = Normed(llama.model_.final_norm(), WantedBy(classifier));
      Multiply<1>({{classifier, s.logits}}, xn, tokens.size());
    }
  };

  // The pass of an architecture, chosen when a model is opened: none asks what it is.
  using RunPass = void (*)(const Llama&, std::span<const TokenId>, size_t, Logits, KvCache&,
                           RunState&, const Worker&);
  static RunPass PassOf(Architecture architecture) {
    RunPass found = nullptr;
    [&]<size_t... I>(std::index_sequence<I...>) {
      ((kArchitectures[I].id == architecture ? void(found = &Run<kArchitectures[I]>) : void()),
       ...);
    }
    (std::make_index_sequence<std::size(kArchitectures)>());
    return found;
  }
  template <ArchitectureTraits A>
  static void Run(const Llama& llama, std::span<const TokenId> tokens, size_t position,
                  Logits logits, KvCache& cache, RunState& state, const Worker& worker) {
    Pass<A>{llama, tokens, position, cache, state, worker}.Run(logits);
  }

  M model_;
  ModelConfig config_;
  RunPass run_;
};

}  // namespace tvl

#endif  // TVL_MODELS_LLAMA_H_
