// How fast this machine reads the weights of a model: the roof that decoding is measured by.
#ifndef TVL_TOOLS_READ_BANDWIDTH_H_
#define TVL_TOOLS_READ_BANDWIDTH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "models/tvl_reader.h"

namespace tvl {

// Two loops that load and add, as plain as a read can be. kAhead asks for lines ahead as the
// kernels do; where the hardware's own prefetcher stops at every page, that is the higher roof.
enum class ReadLoop { kPlain, kAhead };

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

}  // namespace tvl

#endif  // TVL_TOOLS_READ_BANDWIDTH_H_
