// One operation at a time, for whoever changes one: those of the selected backend, each beside the
// roof that bounds it.
//
//   bazel run //tools/bench:kernels -- --benchmark_filter=Gemv
//
// Gemv walks 256 MiB of weights in pages of 2 MB, more than most caches hold, so its bytes per
// second are a memory bandwidth; the label compares them with the roof, the better of some loops
// that only load and add over such memory, measured when the program starts (ReadBandwidth measures
// it again: a shared machine drifts). Gemm and
// attention count multiply-adds, operations on vectors the bytes of their operands, which lie in
// L1. Every result is checked once.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <span>
#include <string>

#include "backends/selected.h"
#include "core/activations.h"
#include "core/aligned_buffer.h"
#include "core/attention.h"
#include "core/batches.h"
#include "core/huge_pages.h"
#include "core/kernel.h"
#include "core/kv_append.h"
#include "core/kv_slot.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "tools/read_bandwidth.h"

namespace tvl {
namespace {

constexpr size_t kWeightBytes = size_t{256} << 20;

using K = SelectedKernel;
using Clock = std::chrono::steady_clock;

// Weights that are all 1, so that results are known; speed does not depend on values.
HugePages OnesPanels(WeightType type, size_t bytes) {
  HugePages memory = HugePages::Allocate(bytes).value();
  const std::span<std::byte> weights = memory.bytes();
  const auto fill16 = [](std::byte* at, size_t count, uint16_t value) {
    for (size_t i = 0; i < count; ++i) std::memcpy(at + 2 * i, &value, sizeof value);
  };
  if (type == WeightType::kF32) {
    float* w = reinterpret_cast<float*>(weights.data());
    std::fill(w, w + bytes / sizeof(float), 1.0f);
    return memory;
  }
  constexpr uint16_t kOneF16 = 0x3c00, kOneBF16 = 0x3f80;
  if (!IsQuantized(type)) {
    fill16(weights.data(), bytes / 2, type == WeightType::kF16 ? kOneF16 : kOneBF16);
    return memory;
  }
  const size_t superblock = SuperblockLines(type) * kLineBytes;
  for (std::byte* at = weights.data(); at + superblock <= weights.data() + bytes;
       at += superblock) {
    if (IsKQuant(type)) {
      fill16(at, kPanelRows, kOneF16);
      // Scales are 1, and minima too, which what they are multiplied by, 0, makes 0.
      std::memset(at + kLineBytes, 1, (kKHeadLines - 1) * kLineBytes);
      // 1, and of q6k 33: its high bits are 2.
      for (size_t k = 0; k < kKSuperblock; k += ScaleBlock(type)) {
        const size_t block = TileByteKBlock(type, k), low = TileByteKLow(type, 0, k);
        std::memset(at + block, type == WeightType::kQ6K ? 0xaa : 0, low - block);
        std::memset(at + low, 0x11, ScaleBlock(type) / 8 * kLineBytes);
      }
      continue;
    }
    const size_t quant_bytes = SuperblockQuantLines(type) * kLineBytes;
    std::memset(at,
                type == WeightType::kQ8   ? 1
                : type == WeightType::kQ4 ? 0x99
                                          : 0x11,
                quant_bytes);
    fill16(at + quant_bytes, kLineBytes / 2, kOneF16);  // minima stay 0
  }
  return memory;
}

AlignedBuffer<float> Ones(size_t n) {
  AlignedBuffer<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = 1.0f;
  return x;
}

// `tokens` rows of ones, in both forms, and if there are several in batches.
class Inputs {
 public:
  Inputs(size_t tokens, size_t cols)
      : floats_(Ones(Room(tokens) * cols)),
        quants_(Room(tokens) * QuantizedRows::QuantStride(cols)),
        scales_(Room(tokens) * QuantizedRows::Blocks(cols)),
        sums_(Room(tokens) * QuantizedRows::Blocks(cols)),
        half_sums_(Room(tokens) * QuantizedRows::Blocks(cols)),
        rows_{{floats_.data(), cols},
              {quants_.data(), scales_.data(), sums_.data(), half_sums_.data(),
               QuantizedRows::QuantStride(cols), QuantizedRows::Blocks(cols)}} {
    if (tokens == 1) K::QuantizeActivations(floats_.data(), cols, rows_.quantized);
    for (size_t t = 0; tokens > 1 && t < tokens; ++t)
      QuantizeIntoBatches<K>(floats_.data(), cols, 0, t, rows_.quantized);
  }
  const Activations& rows() const { return rows_; }

 private:
  static size_t Room(size_t tokens) {
    return RoundUp(tokens, std::lcm(K::kFloatBatch, K::kQuantBatch));
  }

  AlignedBuffer<float> floats_;
  AlignedBuffer<int8_t> quants_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<int32_t> sums_;
  AlignedBuffer<int32_t> half_sums_;
  Activations rows_;
};

void Check(benchmark::State& state, float found, float expected) {
  if (!(std::fabs(found - expected) <= 1e-4f * std::fabs(expected)))
    state.SkipWithError("wrong result");
}

ThreadPool& OneThread() {
  static ThreadPool pool(1);
  return pool;
}

const MachineRead& Machine() {
  static const MachineRead machine = MachineRead::Create(kWeightBytes, OneThread()).value();
  return machine;
}

double Roof() {
  static const double roof = MeasureMachineRate(Machine(), OneThread(), 0.3);
  return roof;
}

void SetBytes(benchmark::State& state, size_t bytes_per_iteration) {
  state.counters["bytes/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(bytes_per_iteration),
      benchmark::Counter::kIsRate);
}

// Runs what reads `bytes` of memory, and says how close to the roof.
template <typename F>
void RunAgainstRoof(benchmark::State& state, size_t bytes, F&& f) {
  const double roof = Roof();
  const auto start = Clock::now();
  for ([[maybe_unused]] auto _ : state) {
    f();
    benchmark::ClobberMemory();
  }
  const std::chrono::duration<double> seconds = Clock::now() - start;
  const double rate =
      static_cast<double>(state.iterations()) * static_cast<double>(bytes) / seconds.count();
  char label[64];
  std::snprintf(label, sizeof label, "%.0f%% of the roof, %.1f GB/s", 100 * rate / roof,
                roof / 1e9);
  state.SetLabel(label);
  SetBytes(state, bytes);
}

void SetMacs(benchmark::State& state, size_t macs_per_iteration) {
  state.counters["MAC/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(macs_per_iteration),
      benchmark::Counter::kIsRate);
}

void ReadBandwidth(benchmark::State& state) {
  // Two passes, one by each of the machine's best loops.
  RunAgainstRoof(state, 2 * Machine().bytes(), [] { Machine().ReadOnce(OneThread()); });
}

void Gemv(benchmark::State& state, WeightType type) {
  const size_t cols = static_cast<size_t>(state.range(0));
  const size_t rows = kWeightBytes / PanelBytes(type, cols) * kPanelRows;
  const HugePages weights = OnesPanels(type, kWeightBytes);
  const TileMatrix w = DenseTileMatrix(weights.bytes().data(), type, rows, cols);
  const Inputs x(1, cols);
  AlignedBuffer<float> y(rows);
  RunAgainstRoof(state, w.panels() * w.panel_stride, [&] {
    tvl::Gemv<K>(w, {0, w.panels()}, x.rows(), y.data());
  });
  Check(state, y[rows - 1], static_cast<float>(cols));
}

void Gemm(benchmark::State& state, WeightType type) {
  constexpr size_t kRows = 768;
  const size_t tokens = static_cast<size_t>(state.range(0));
  const size_t cols = static_cast<size_t>(state.range(1));
  const HugePages weights = OnesPanels(type, PanelCount(kRows) * PanelBytes(type, cols));
  const TileMatrix w = DenseTileMatrix(weights.bytes().data(), type, kRows, cols);
  const Inputs x(tokens, cols);
  AlignedBuffer<float> y(tokens * kRows);
  for ([[maybe_unused]] auto _ : state) {
    tvl::Gemm<K>(w, {0, w.panels()}, x.rows(), tokens, y.data(), kRows);
    benchmark::ClobberMemory();
  }
  Check(state, y[tokens * kRows - 1], static_cast<float>(cols));
  SetMacs(state, kRows * cols * tokens);
}

void EmbedRow(benchmark::State& state, WeightType type) {
  constexpr size_t kRows = 256, kCols = 768;
  const HugePages weights = OnesPanels(type, PanelCount(kRows) * PanelBytes(type, kCols));
  const TileMatrix w = DenseTileMatrix(weights.bytes().data(), type, kRows, kCols);
  AlignedBuffer<float> out(kCols);
  for ([[maybe_unused]] auto _ : state) {
    tvl::EmbedRow<K>(w, 77, out.data());
    benchmark::ClobberMemory();
  }
  Check(state, out[kCols - 1], 1);
  SetBytes(state, kCols * sizeof(float));
}

// One head of 64 dimensions: of a token (bytes of the cache), or of some at once (multiply-adds).
void Attention(benchmark::State& state, KvType type) {
  constexpr size_t kHeadDim = 64, kRows = RoundUp(kAttentionRows, 16);
  const size_t tokens = static_cast<size_t>(state.range(0));
  const size_t positions = static_cast<size_t>(state.range(1));
  AlignedBuffer<std::byte> memory(KvSlot::Bytes(type, kHeadDim, positions));
  const KvSlot slot = KvSlot::In(memory.data(), type, kHeadDim, static_cast<uint32_t>(positions));
  const AlignedBuffer<float> ones = Ones(kHeadDim * kRows);
  for (size_t i = 0; i < positions; ++i) {
    AppendKey<K>(ones.data(), i, slot);
    AppendValue<K>(ones.data(), i, slot);
  }
  AlignedBuffer<float> q_batches(kRows * kHeadDim), out(kRows * kHeadDim);
  AlignedBuffer<float> scores(kRows * positions), scaled(kRows * positions),
      batches(kRows * positions);
  const Inputs quants(kRows, kHeadDim);
  const AttentionScratch scratch = {.q_batches = q_batches.data(),
                                    .q_stride = kHeadDim,
                                    .q_quants = quants.rows().quantized,
                                    .scores = scores.data(),
                                    .scaled = scaled.data(),
                                    .batches = batches.data(),
                                    .scores_stride = positions,
                                    .out = nullptr};
  for ([[maybe_unused]] auto _ : state) {
    Attend<K>(slot, positions - tokens + 1, tokens, 1, ones.data(), kHeadDim, 0.125f, scratch,
              out.data(), kHeadDim);
    benchmark::ClobberMemory();
  }
  if (!(out[0] > 0.999f && out[0] < 1.001f)) state.SkipWithError("wrong result");
  if (tokens == 1) {
    SetBytes(state, memory.size());
  } else {
    SetMacs(state, 2 * tokens * positions * kHeadDim);
  }
}
#define TVL_BENCHMARK(type)                        \
  BENCHMARK_CAPTURE(Attention, type, KvType::type) \
      ->Args({1, 256})                             \
      ->Args({1, 1024})                            \
      ->Args({kAttentionRows, 1024})
TVL_BENCHMARK(kF32);
TVL_BENCHMARK(kF16);
TVL_BENCHMARK(kQ8);
#undef TVL_BENCHMARK

constexpr size_t kVectorSize = 2048;

// op(x, y): reads x, writes y; both hold kVectorSize floats, x ones.
template <typename Op>
void OnVectors(benchmark::State& state, float expected, Op&& op) {
  const AlignedBuffer<float> x = Ones(kVectorSize);
  AlignedBuffer<float> y = Ones(kVectorSize);
  for ([[maybe_unused]] auto _ : state) {
    op(x.data(), y.data());
    benchmark::ClobberMemory();
  }
  Check(state, y[kVectorSize - 1], expected);
  SetBytes(state, 2 * kVectorSize * sizeof(float));
}

void RmsNorm(benchmark::State& state) {
  OnVectors(state, 1, [](const float* x, float* y) { K::RmsNorm(x, x, kVectorSize, 1e-12f, y); });
}
BENCHMARK(RmsNorm);

void Softmax(benchmark::State& state) {
  OnVectors(state, 1.0f / kVectorSize, [](const float* x, float* y) {
    std::memcpy(y, x, kVectorSize * sizeof(float));
    K::Softmax(y, kVectorSize, 0.125f);
  });
}
BENCHMARK(Softmax);

void SwiGlu(benchmark::State& state) {
  OnVectors(state, 0.7310586f, [](const float* x, float* y) { K::SwiGlu(x, x, kVectorSize, y); });
}
BENCHMARK(SwiGlu);

void Rope(benchmark::State& state) {  // cosines and sines of 1: the first half cancels
  OnVectors(state, 2, [](const float* x, float* y) { K::Rope(x, x, x, kVectorSize, y); });
}
BENCHMARK(Rope);

void QuantizeActivations(benchmark::State& state) {
  const Inputs x(1, kVectorSize);
  for ([[maybe_unused]] auto _ : state) {
    K::QuantizeActivations(x.rows().floats.data, kVectorSize, x.rows().quantized);
    benchmark::ClobberMemory();
  }
  Check(state, x.rows().quantized.scales[0] * 127, 1);
  Check(state, x.rows().quantized.quants[kVectorSize - 1], 127);
  SetBytes(state, kVectorSize * sizeof(float));
}
BENCHMARK(QuantizeActivations);

BENCHMARK(ReadBandwidth);

#define TVL_BENCHMARK(name, type)                                                           \
  BENCHMARK_CAPTURE(Gemv, name, type)->Arg(768)->Arg(2048);                                 \
  BENCHMARK_CAPTURE(Gemm, name, type)->Args({6, 768})->Args({252, 768})->Args({252, 2048}); \
  BENCHMARK_CAPTURE(EmbedRow, name, type)
TVL_BENCHMARK(f32, WeightType::kF32);
TVL_BENCHMARK(f16, WeightType::kF16);
TVL_BENCHMARK(bf16, WeightType::kBF16);
TVL_BENCHMARK(q8, WeightType::kQ8);
TVL_BENCHMARK(q4, WeightType::kQ4);
TVL_BENCHMARK(q4m, WeightType::kQ4M);
TVL_BENCHMARK(q4k, WeightType::kQ4K);
TVL_BENCHMARK(q5k, WeightType::kQ5K);
TVL_BENCHMARK(q6k, WeightType::kQ6K);
#undef TVL_BENCHMARK

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  benchmark::AddCustomContext("backend", std::string(tvl::SelectedKernel::kName));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
