#include "tools/read_bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/tile.h"
#include "tools/units.h"

namespace tvl {
namespace {

// Where sums go, so that the compiler cannot leave the reading out.
std::atomic<uint64_t> g_sink;

template <ReadLoop kLoop>
void ReadShare(const TvlReader& reader, const ThreadPool::Worker& worker) {
  uint64_t sum = 0;
  for (const TensorInfo& tensor : reader.tensors()) {
    if (!reader.IsReadPerToken(tensor)) continue;
    const size_t units = std::max<size_t>(1, PanelCount(tensor.rows) / kPanelsPerUnit);
    const size_t unit_bytes = tensor.data.size() / units / kLineBytes * kLineBytes;
    const auto [begin, end] = worker.Share(units);
    const size_t last = end == units ? tensor.data.size() : end * unit_bytes;
    sum += LoadAndAdd<kLoop>(tensor.data.subspan(begin * unit_bytes, last - begin * unit_bytes));
  }
  g_sink.fetch_add(sum, std::memory_order_relaxed);
}

}  // namespace

// Sums 64-bit words, four lines at a time, compiled with the build's -march.
template <ReadLoop kLoop>
uint64_t LoadAndAdd(std::span<const std::byte> bytes) {
  constexpr size_t kChains = 4 * kLineBytes / sizeof(uint64_t);
  const uint64_t* words = reinterpret_cast<const uint64_t*>(bytes.data());
  uint64_t sums[kChains] = {};
  for (size_t i = 0; i + kChains <= bytes.size() / sizeof(uint64_t); i += kChains) {
    if constexpr (kLoop == ReadLoop::kAhead) {
      for (size_t line = 0; line < 4; ++line) {
        const std::byte* at = reinterpret_cast<const std::byte*>(words + i) + line * kLineBytes;
        __builtin_prefetch(at + 2048, 0, 3);
        __builtin_prefetch(at + 12288, 0, 2);
      }
    }
    for (size_t c = 0; c < kChains; ++c) sums[c] += words[i + c];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}
template uint64_t LoadAndAdd<ReadLoop::kPlain>(std::span<const std::byte>);
template uint64_t LoadAndAdd<ReadLoop::kAhead>(std::span<const std::byte>);

double ReadOnce(const TvlReader& reader, ThreadPool& pool, ReadLoop loop) {
  const Stopwatch watch;
  pool.Run([&](const ThreadPool::Worker& worker) {
    if (loop == ReadLoop::kAhead) {
      ReadShare<ReadLoop::kAhead>(reader, worker);
    } else {
      ReadShare<ReadLoop::kPlain>(reader, worker);
    }
  });
  return watch.seconds();
}

ReadSeconds MeasureRead(const TvlReader& reader, ThreadPool& pool, double seconds,
                        std::vector<double>* ahead_passes) {
  const Stopwatch watch;
  ReadSeconds sum;
  int passes = 0;
  do {
    sum.plain += ReadOnce(reader, pool, ReadLoop::kPlain);
    const double ahead = ReadOnce(reader, pool, ReadLoop::kAhead);
    sum.ahead += ahead;
    if (ahead_passes != nullptr) ahead_passes->push_back(ahead);
    ++passes;
  } while (watch.seconds() < seconds);
  return {sum.plain / passes, sum.ahead / passes};
}

}  // namespace tvl
