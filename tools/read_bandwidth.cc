#include "tools/read_bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/huge_pages.h"
#include "core/tile.h"
#include "tools/machine.h"
#include "tools/units.h"

namespace tvl {
namespace {

// Where sums go, so that the compiler cannot leave the reading out.
std::atomic<uint64_t> g_sink;

template <typename F>
void WithLoop(ReadLoop loop, F&& f) {
  switch (loop) {
    case ReadLoop::kPlain:
      return f.template operator()<ReadLoop::kPlain>();
    case ReadLoop::kNear:
      return f.template operator()<ReadLoop::kNear>();
    case ReadLoop::kAhead:
      return f.template operator()<ReadLoop::kAhead>();
    case ReadLoop::kFar:
      return f.template operator()<ReadLoop::kFar>();
  }
}

// The worker's share of memory, by whole huge pages.
std::span<std::byte> ShareOf(std::span<std::byte> memory, const ThreadPool::Worker& worker) {
  constexpr size_t kPage = HugePages::kPageBytes;
  const auto [begin, end] = worker.Share((memory.size() + kPage - 1) / kPage);
  const size_t from = std::min(begin * kPage, memory.size());
  return memory.subspan(from, std::min(end * kPage, memory.size()) - from);
}

double ReadMemoryOnce(std::span<std::byte> memory, ThreadPool& pool, ReadLoop loop) {
  const Stopwatch watch;
  pool.Run([&](const ThreadPool::Worker& worker) {
    WithLoop(loop, [&]<ReadLoop kLoop>() {
      g_sink.fetch_add(LoadAndAdd<kLoop>(ShareOf(memory, worker)), std::memory_order_relaxed);
    });
  });
  return watch.seconds();
}

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
  // Into L1 and L2.
  constexpr size_t kL1 = kLoop == ReadLoop::kNear ? 1024 : kLoop == ReadLoop::kFar ? 4096 : 2048;
  constexpr size_t kL2 = kLoop == ReadLoop::kNear ? 4096 : kLoop == ReadLoop::kFar ? 24576 : 12288;
  const uint64_t* words = reinterpret_cast<const uint64_t*>(bytes.data());
  uint64_t sums[kChains] = {};
  for (size_t i = 0; i + kChains <= bytes.size() / sizeof(uint64_t); i += kChains) {
    if constexpr (kLoop != ReadLoop::kPlain) {
      for (size_t line = 0; line < 4; ++line) {
        const std::byte* at = reinterpret_cast<const std::byte*>(words + i) + line * kLineBytes;
        __builtin_prefetch(at + kL1, 0, 3);
        __builtin_prefetch(at + kL2, 0, 2);
      }
    }
    for (size_t c = 0; c < kChains; ++c) sums[c] += words[i + c];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}
template uint64_t LoadAndAdd<ReadLoop::kPlain>(std::span<const std::byte>);
template uint64_t LoadAndAdd<ReadLoop::kNear>(std::span<const std::byte>);
template uint64_t LoadAndAdd<ReadLoop::kAhead>(std::span<const std::byte>);
template uint64_t LoadAndAdd<ReadLoop::kFar>(std::span<const std::byte>);

double ReadOnce(const TvlReader& reader, ThreadPool& pool, ReadLoop loop) {
  const Stopwatch watch;
  pool.Run([&](const ThreadPool::Worker& worker) {
    WithLoop(loop, [&]<ReadLoop kLoop>() { ReadShare<kLoop>(reader, worker); });
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

absl::StatusOr<MachineRead> MachineRead::Create(size_t bytes, ThreadPool& pool) {
  const uint64_t available = AvailableBytes();
  const size_t most = available == 0 ? bytes : static_cast<size_t>(available / 2);
  absl::StatusOr<HugePages> memory = HugePages::Allocate(
      std::max(HugePages::kPageBytes, std::min(bytes, most) / kLineBytes * kLineBytes));
  if (!memory.ok()) return memory.status();
  MachineRead machine(*std::move(memory));
  const std::span<std::byte> all = machine.memory_.bytes();
  // Whoever touches a page first has it near.
  pool.Run([&](const ThreadPool::Worker& worker) {
    const std::span<std::byte> share = ShareOf(all, worker);
    std::memset(share.data(), 1, share.size());
  });
  std::vector<std::pair<double, ReadLoop>> tried;
  for (const ReadLoop loop : kReadLoops) {
    double best = ReadMemoryOnce(all, pool, loop);
    for (int pass = 0; pass < 2; ++pass) best = std::min(best, ReadMemoryOnce(all, pool, loop));
    tried.emplace_back(best, loop);
  }
  std::ranges::sort(tried);
  machine.best_[0] = tried[0].second;
  machine.best_[1] = tried[1].second;
  return machine;
}

bool MachineRead::in_huge_pages() const {
  return HugePageBytes(memory_.bytes()) >= memory_.bytes().size() / 10 * 9;
}

double MachineRead::ReadOnce(ThreadPool& pool) const {
  return std::min(ReadMemoryOnce(memory_.bytes(), pool, best_[0]),
                  ReadMemoryOnce(memory_.bytes(), pool, best_[1]));
}

double MeasureMachineRate(const MachineRead& machine, ThreadPool& pool, double seconds) {
  const Stopwatch watch;
  double best = machine.ReadOnce(pool);
  for (int pass = 1; pass < 3 || watch.seconds() < seconds; ++pass)
    best = std::min(best, machine.ReadOnce(pool));
  return static_cast<double>(machine.bytes()) / best;
}

}  // namespace tvl
