#include "core/read_ahead.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "core/mapped_file.h"
#include "core/page_residency.h"
#include "core/signals.h"

namespace tvl {
namespace {

// What is waited for at a time, and so how long the end may have to wait. The system itself reads
// on while this waits.
constexpr size_t kChunkBytes = size_t{1} << 20;

// Of which one page is looked at. The system drops pages in runs: a hole that this misses is read
// when it is touched, as all would be without this class.
constexpr size_t kProbeBytes = size_t{256} << 10;

bool InMemory(std::span<const std::byte> chunk) {
  for (size_t at = 0; at < chunk.size(); at += kProbeBytes) {
    if (ResidentBytes(chunk.subspan(at, 1)) == 0) return false;
  }
  return ResidentBytes(chunk.last(1)) != 0;
}

std::vector<std::span<const std::byte>> Chunks(
    const std::vector<std::span<const std::byte>>& ranges) {
  std::vector<std::span<const std::byte>> chunks;
  for (const std::span<const std::byte> range : ranges) {
    for (size_t at = 0; at < range.size(); at += kChunkBytes)
      chunks.push_back(range.subspan(at, std::min(kChunkBytes, range.size() - at)));
  }
  return chunks;
}

}  // namespace

ReadAhead::ReadAhead(const std::vector<std::span<const std::byte>>& ranges, bool residency_known)
    : ranges_(ranges), chunks_(Chunks(ranges)), residency_known_(residency_known) {
  for (const std::span<const std::byte> range : ranges) PreferLargeReads(range);
  try {
    const SignalsBlocked blocked(EndingSignals());
    thread_ = std::thread([this] { Walk(); });
  } catch (const std::system_error&) {
    done_.store(true, std::memory_order_release);
  }
}

ReadAhead::~ReadAhead() {
  stop_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void ReadAhead::Walk() {
  for (const std::span<const std::byte> chunk : chunks_) {
    if (stop_.load(std::memory_order_relaxed)) break;
    if (residency_known_ && InMemory(chunk)) continue;
    // A page that cannot be read is for those to report who need it.
    if (!PopulatePages(chunk).ok()) break;
    bytes_read_.fetch_add(chunk.size(), std::memory_order_relaxed);
  }
  // Pieces that were in memory may lie in small pages, written by another program, say. (Of pages
  // that are large already this only makes the system map them so, which takes no time.)
  for (const std::span<const std::byte> range : ranges_) {
    if (stop_.load(std::memory_order_relaxed) || !GatherPieces(range)) break;
  }
  done_.store(true, std::memory_order_release);
}

bool ReadAhead::GatherPieces(std::span<const std::byte> range) const {
  // So much at a time that the end waits for milliseconds.
  constexpr size_t kBytes = size_t{32} << 20;
  for (size_t at = 0; at < range.size(); at += kBytes) {
    if (stop_.load(std::memory_order_relaxed)) return false;
    const size_t bytes = std::min(kBytes, range.size() - at);
    if (!GatherIntoHugePages(range.subspan(at, bytes)) && bytes == kBytes) return false;
  }
  return true;
}

absl::Status ReadAhead::Now(const std::vector<std::span<const std::byte>>& ranges) {
  for (const std::span<const std::byte> range : ranges) PreferLargeReads(range);
  for (const std::span<const std::byte> chunk : Chunks(ranges)) {
    if (absl::Status s = PopulatePages(chunk); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace tvl
