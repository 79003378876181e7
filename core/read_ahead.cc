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

namespace tvl {
namespace {

// What is waited for at a time, and so how long the end may have to wait.
constexpr size_t kChunkBytes = size_t{1} << 20;

// Chunks that are asked for ahead of the one waited for: enough to keep a disk's queue full, and
// few enough that a model larger than memory does not push out what is about to be read.
constexpr size_t kChunksAhead = 32;

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

// Calls request(i) for each of the chunks, and wait_for(i) -> bool in turn once it has requested
// kChunksAhead from there on, until that says no.
template <typename Request, typename WaitFor>
void WalkChunks(size_t chunks, Request&& request, WaitFor&& wait_for) {
  size_t requested = 0;
  for (size_t i = 0; i < chunks; ++i) {
    for (; requested < std::min(chunks, i + kChunksAhead); ++requested) request(requested);
    if (!wait_for(i)) return;
  }
}

}  // namespace

ReadAhead::ReadAhead(const std::vector<std::span<const std::byte>>& ranges)
    : chunks_(Chunks(ranges)) {
  try {
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
  bool missing[kChunksAhead] = {};  // at i % kChunksAhead
  const auto request = [&](size_t i) {
    missing[i % kChunksAhead] = !InMemory(chunks_[i]);
    // Whatever that says: of a file that the user neither owns nor may write, Linux calls every
    // page present.
    RequestPages(chunks_[i]);
  };
  const auto wait_for = [&](size_t i) {
    if (stop_.load(std::memory_order_relaxed)) return false;
    if (!missing[i % kChunksAhead]) return true;
    // A page that cannot be read is for those to report who need it.
    if (!PopulatePages(chunks_[i]).ok()) return false;
    bytes_read_.fetch_add(chunks_[i].size(), std::memory_order_relaxed);
    return true;
  };
  WalkChunks(chunks_.size(), request, wait_for);
  done_.store(true, std::memory_order_release);
}

absl::Status ReadAhead::Now(const std::vector<std::span<const std::byte>>& ranges) {
  const std::vector<std::span<const std::byte>> chunks = Chunks(ranges);
  absl::Status status;
  WalkChunks(
      chunks.size(), [&](size_t i) { RequestPages(chunks[i]); },
      [&](size_t i) {
        status = PopulatePages(chunks[i]);
        return status.ok();
      });
  return status;
}

}  // namespace tvl
