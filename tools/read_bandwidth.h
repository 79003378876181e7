// How fast this machine reads the weights of a model: the roof that decoding is measured by.
#ifndef TVL_TOOLS_READ_BANDWIDTH_H_
#define TVL_TOOLS_READ_BANDWIDTH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/huge_pages.h"
#include "core/thread_pool.h"
#include "models/tvl_reader.h"

namespace tvl {

// Loops that load and add, as plain as a read can be: without prefetch, and asking for lines so far
// ahead into L1 and L2. kAhead asks as the kernels do; where the hardware's own prefetcher stops at
// every page, that is the higher roof. Which distances are best is the machine's.
enum class ReadLoop { kPlain, kNear, kAhead, kFar };
inline constexpr ReadLoop kReadLoops[] = {ReadLoop::kPlain, ReadLoop::kNear, ReadLoop::kAhead,
                                          ReadLoop::kFar};

// Reads `bytes` once, on a 64-byte boundary, and returns the sum of its 64-bit words, without which
// a compiler could leave the reading out.
template <ReadLoop kLoop>
uint64_t LoadAndAdd(std::span<const std::byte> bytes);

// Seconds that it takes to read once, from the mapped file, what decoding a token reads: each
// thread of `pool` its contiguous share of every tensor in whole units of 32 rows.
double ReadOnce(const TvlReader& reader, ThreadPool& pool, ReadLoop loop);

// Of one pass, on average.
struct ReadSeconds {
  double plain = 0;
  double ahead = 0;

  double better() const { return std::min(plain, ahead); }
};

// Passes of both loops in turn, for about `seconds` and once at least. Appends the seconds of each
// pass of kAhead to *ahead_passes, unless that is null.
ReadSeconds MeasureRead(const TvlReader& reader, ThreadPool& pool, double seconds,
                        std::vector<double>* ahead_passes = nullptr);

// What this machine's memory gives at best: as many bytes as are to be read, in memory of the
// program's own, in pages of 2 MB. A mapped file's pages may be smaller, and what is read through
// them then says less of the machine than of its pages.
class MachineRead {
 public:
  // Fills `bytes` bytes, but no more than half of the memory that is free, each thread of `pool`
  // its share, and tries all loops. ResourceExhausted if there is no such memory.
  static absl::StatusOr<MachineRead> Create(size_t bytes, ThreadPool& pool);

  size_t bytes() const { return memory_.bytes().size(); }
  // Whether the pages are what was asked for.
  bool in_huge_pages() const;
  // Seconds of one pass over all of it, the better of two: by each of the loops that did best at
  // first.
  double ReadOnce(ThreadPool& pool) const;

 private:
  explicit MachineRead(HugePages memory) : memory_(std::move(memory)) {}

  HugePages memory_;
  ReadLoop best_[2] = {ReadLoop::kAhead, ReadLoop::kPlain};
};

// Bytes per second, the better of passes of `machine` for about `seconds`, and of three at least.
double MeasureMachineRate(const MachineRead& machine, ThreadPool& pool, double seconds);

}  // namespace tvl

#endif  // TVL_TOOLS_READ_BANDWIDTH_H_
