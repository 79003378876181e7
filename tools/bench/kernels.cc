// One kernel at a time, for whoever changes one: Gemv, Gemm and attention of the selected backend.
//
//   bazel run //tools/bench:kernels -- --benchmark_filter=Gemv
//
// Gemv walks 256 MiB of weights, more than most caches hold, so its bytes_per_second is a memory
// bandwidth; put it beside that of ReadBandwidth, which only loads and adds. Gemm and attention
// count multiply-adds.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "backends/selected.h"
#include "core/aligned_buffer.h"
#include "core/attention.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {
namespace {

constexpr size_t kWeightBytes = size_t{256} << 20;

// All weights and inputs are 1: the result is known, and speed does not depend on values.
template <WeightType W>
AlignedBuffer<std::byte> OnesPanels(size_t bytes) {
  AlignedBuffer<std::byte> weights(bytes);
  if constexpr (W == WeightType::kF32) {
    float* w = reinterpret_cast<float*>(weights.data());
    for (size_t i = 0; i < bytes / sizeof(float); ++i) w[i] = 1.0f;
  } else {
    uint16_t* w = reinterpret_cast<uint16_t*>(weights.data());
    for (size_t i = 0; i < bytes / sizeof(uint16_t); ++i)
      w[i] = W == WeightType::kF16 ? 0x3c00 : 0x3f80;
  }
  return weights;
}

AlignedBuffer<float> Ones(size_t n) {
  AlignedBuffer<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = 1.0f;
  return x;
}

void ReadBandwidth(benchmark::State& state) {
  const AlignedBuffer<std::byte> data = OnesPanels<WeightType::kF32>(kWeightBytes);
  const uint64_t* words = reinterpret_cast<const uint64_t*>(data.data());
  for ([[maybe_unused]] auto _ : state) {
    uint64_t sums[32] = {};
    for (size_t i = 0; i < kWeightBytes / sizeof(uint64_t); i += 32) {
      for (size_t c = 0; c < 32; ++c) sums[c] += words[i + c];
    }
    benchmark::DoNotOptimize(sums);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kWeightBytes));
}
BENCHMARK(ReadBandwidth);

template <WeightType W>
void Gemv(benchmark::State& state) {
  const size_t cols = static_cast<size_t>(state.range(0));
  const size_t rows = kWeightBytes / PanelBytes(W, cols) * kPanelRows;
  const AlignedBuffer<std::byte> weights = OnesPanels<W>(kWeightBytes);
  const TileMatrix w = DenseTileMatrix(weights.data(), W, rows, cols);
  const AlignedBuffer<float> x = Ones(cols);
  AlignedBuffer<float> y(rows);
  for ([[maybe_unused]] auto _ : state) {
    SelectedKernel::Gemv<W>(w, {0, w.panels()}, x.data(), y.data());
    benchmark::ClobberMemory();
  }
  if (y[rows - 1] != static_cast<float>(cols)) state.SkipWithError("wrong result");
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * w.panels() * w.panel_stride));
}
BENCHMARK_TEMPLATE(Gemv, WeightType::kF32)->Name("Gemv/f32")->Arg(768)->Arg(2048);
BENCHMARK_TEMPLATE(Gemv, WeightType::kF16)->Name("Gemv/f16")->Arg(768)->Arg(2048);
BENCHMARK_TEMPLATE(Gemv, WeightType::kBF16)->Name("Gemv/bf16")->Arg(768)->Arg(2048);

template <WeightType W>
void Gemm(benchmark::State& state) {
  constexpr size_t kRows = 768, kCols = 768;
  const size_t tokens = static_cast<size_t>(state.range(0));
  const AlignedBuffer<std::byte> weights = OnesPanels<W>(PanelCount(kRows) * PanelBytes(W, kCols));
  const TileMatrix w = DenseTileMatrix(weights.data(), W, kRows, kCols);
  const AlignedBuffer<float> x = Ones(tokens * kCols);
  AlignedBuffer<float> y(tokens * kRows);
  for ([[maybe_unused]] auto _ : state) {
    SelectedKernel::Gemm<W>(w, {0, w.panels()}, x.data(), kCols, tokens, y.data(), kRows);
    benchmark::ClobberMemory();
  }
  if (y[tokens * kRows - 1] != static_cast<float>(kCols)) state.SkipWithError("wrong result");
  state.counters["MAC/s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kRows * kCols * tokens),
                         benchmark::Counter::kIsRate);
}
BENCHMARK_TEMPLATE(Gemm, WeightType::kF32)->Name("Gemm/f32")->Arg(6)->Arg(64);
BENCHMARK_TEMPLATE(Gemm, WeightType::kF16)->Name("Gemm/f16")->Arg(6)->Arg(64);
BENCHMARK_TEMPLATE(Gemm, WeightType::kBF16)->Name("Gemm/bf16")->Arg(6)->Arg(64);

void Attention(benchmark::State& state) {
  constexpr size_t kHeadDim = 64;
  const size_t positions = static_cast<size_t>(state.range(0));
  AlignedBuffer<float> keys = Ones(KvSlot::KeyFloats(kHeadDim, positions));
  AlignedBuffer<float> values = Ones(KvSlot::ValueFloats(kHeadDim, positions));
  const KvSlot slot = {keys.data(), values.data(), kHeadDim, static_cast<uint32_t>(positions)};
  const AlignedBuffer<float> q = Ones(kHeadDim);
  AlignedBuffer<float> scores(positions), out(kHeadDim);
  for ([[maybe_unused]] auto _ : state) {
    Attend<SelectedKernel>(slot, positions, q.data(), kHeadDim, 1, 0.125f, scores.data(), positions,
                           out.data(), kHeadDim);
    benchmark::ClobberMemory();
  }
  if (!(out[0] > 0.999f && out[0] < 1.001f)) state.SkipWithError("wrong result");
  state.SetBytesProcessed(
      static_cast<int64_t>(state.iterations() * (keys.size() + values.size()) * sizeof(float)));
}
BENCHMARK(Attention)->Arg(256)->Arg(1024);

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  benchmark::AddCustomContext("backend", std::string(tvl::SelectedKernel::kName));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
