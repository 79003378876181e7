// Reads a mapped model from the disk ahead of the first pass.
#ifndef TVL_CORE_READ_AHEAD_H_
#define TVL_CORE_READ_AHEAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace tvl {

// A thread that walks ranges of mappings in the order in which they will be read, and waits for
// their pages, a chunk at a time, so that others need not. It ends at the last one. Without it the
// threads that compute fault at several places of the file, and each waits for the disk there.
//
// Pages that are in memory already are not read again: to walk over them takes a millisecond per
// gigabyte, on a thread that nobody waits for. In the end it asks the system to gather small pages
// into large ones, where it can (GatherIntoHugePages).
class ReadAhead {
 public:
  // The ranges must stay mapped as long as this object lives. Where it is not known what is in
  // memory (see MappedFile), all pages are mapped anew. Without effect if the system has no more
  // threads to give.
  explicit ReadAhead(const std::vector<std::span<const std::byte>>& ranges,
                     bool residency_known = true);
  // Stops within one chunk.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The same walk by the calling thread, to its end, which also maps the pages that are in memory
  // already. DataLoss as PopulatePages.
  static absl::Status Now(const std::vector<std::span<const std::byte>>& ranges);

  bool done() const { return done_.load(std::memory_order_acquire); }
  // Of chunks that were not in memory, as far as it has come.
  uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }

 private:
  void Walk();
  // False where the system cannot, or the end has come.
  bool GatherPieces(std::span<const std::byte> range) const;

  const std::vector<std::span<const std::byte>> ranges_;
  // Pieces of the ranges.
  const std::vector<std::span<const std::byte>> chunks_;
  const bool residency_known_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> bytes_read_{0};
  std::thread thread_;
};

}  // namespace tvl

#endif  // TVL_CORE_READ_AHEAD_H_
