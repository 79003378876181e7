// How the weights of a model come into memory, and stay there.
#ifndef TVL_MODELS_WEIGHT_MEMORY_H_
#define TVL_MODELS_WEIGHT_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/huge_pages.h"
#include "core/read_ahead.h"
#include "core/thread_pool.h"
#include "models/tvl_reader.h"

namespace tvl {

struct MemoryOptions {
  bool read_ahead = true;   // a thread reads what the first pass needs ahead of it, and ends
  bool populate = false;    // all of the file is read and mapped before the engine is there
  bool lock = false;        // and kept in memory (mlock), which populates as well
  bool huge_pages = false;  // the program computes with a copy in pages of 2 MB
};

// The bytes that the first pass reads, in its order: the tensors as they lie in the file, without
// an untied embedding, of which it reads one row per token. Neighbours are one range.
std::vector<std::span<const std::byte>> ReadOrder(const TvlReader& reader);

// What keeps the bytes of a mapped model in memory as asked for.
class WeightMemory {
 public:
  // Prepares the bytes that `reader` reads, with the threads of `pool`; residency_known is
  // MappedFile's. Afterwards `*reader` may read the copy instead, which lives as long as this
  // object; the original bytes then need not stay mapped. DataLoss if the file cannot be read,
  // ResourceExhausted if there is no room or the user may not lock so much.
  absl::Status Prepare(const MemoryOptions& options, bool residency_known, ThreadPool& pool,
                       TvlReader* reader);

  // Bytes that were copied, and those of them that lie in huge pages.
  uint64_t copied_bytes() const { return copy_.bytes().size(); }
  uint64_t huge_page_bytes() const { return HugePageBytes(copy_.bytes()); }
  // Null unless a thread was started.
  const ReadAhead* read_ahead() const { return read_ahead_ ? &*read_ahead_ : nullptr; }

 private:
  absl::Status Copy(ThreadPool& pool, TvlReader* reader);

  HugePages copy_;
  std::optional<ReadAhead> read_ahead_;
};

}  // namespace tvl

#endif  // TVL_MODELS_WEIGHT_MEMORY_H_
