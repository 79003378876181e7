#include "models/weight_memory.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/huge_pages.h"
#include "core/in_file.h"
#include "core/page_residency.h"
#include "core/read_ahead.h"
#include "core/thread_pool.h"
#include "models/tvl_reader.h"

namespace tvl {

std::vector<std::span<const std::byte>> ReadOrder(const TvlReader& reader) {
  std::vector<std::span<const std::byte>> ranges;
  for (const TensorInfo& tensor : reader.tensors()) {
    if (!reader.IsReadPerToken(tensor) || tensor.data.empty()) continue;
    const std::byte* const begin = tensor.data.data();
    const std::byte* const end = begin + tensor.data.size();
    const std::byte* const last = ranges.empty() ? nullptr : ranges.back().data();
    // Only zeros to the next multiple of 64 may lie between neighbours.
    if (last != nullptr && begin >= last + ranges.back().size() &&
        begin < last + ranges.back().size() + 64) {
      ranges.back() = {last, static_cast<size_t>(end - last)};
    } else {
      ranges.push_back(tensor.data);
    }
  }
  return ranges;
}

absl::Status WeightMemory::Prepare(const MemoryOptions& options, bool residency_known,
                                   ThreadPool& pool, TvlReader* reader) {
  if (options.huge_pages) {
    if (absl::Status s = Copy(pool, reader); !s.ok()) return s;
  } else if (options.populate) {
    if (absl::Status s = InFile(reader->name(), ReadAhead::Now({reader->bytes()})); !s.ok())
      return s;
  } else if (options.read_ahead && !options.lock) {
    read_ahead_.emplace(ReadOrder(*reader), residency_known);
  }
  if (!options.lock) return absl::OkStatus();
  return LockPages(reader->bytes(), reader->name());
}

absl::Status WeightMemory::Copy(ThreadPool& pool, TvlReader* reader) {
  const std::span<const std::byte> original = reader->bytes();
  absl::StatusOr<HugePages> copy = HugePages::Allocate(original.size());
  if (!copy.ok()) {
    return InFile(reader->name(),
                  absl::Status(copy.status().code(),
                               absl::StrCat("--huge-pages: ", copy.status().message(),
                                            "; without it the file is used where it is mapped")));
  }
  copy_ = *std::move(copy);
  // The copy reads the file from front to back, as fast as the disk gives it.
  const ReadAhead read_ahead({original});
  constexpr size_t kPage = HugePages::kPageBytes;
  const size_t pages = (original.size() + kPage - 1) / kPage;
  pool.Run([&](const ThreadPool::Worker& worker) {
    // In turn, so that all copy just behind the reader.
    for (size_t page = worker.index(); page < pages; page += worker.count()) {
      const size_t bytes = std::min(kPage, original.size() - page * kPage);
      std::memcpy(copy_.bytes().data() + page * kPage, original.data() + page * kPage, bytes);
    }
  });
  absl::StatusOr<TvlReader> of_copy = TvlReader::Parse(copy_.bytes(), reader->name());
  if (!of_copy.ok()) return of_copy.status();
  *reader = *std::move(of_copy);
  return absl::OkStatus();
}

}  // namespace tvl
