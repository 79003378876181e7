#include "models/tensor_writer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/tile.h"
#include "models/quantize.h"
#include "models/tile_packer.h"

namespace tvl {
namespace {

using format::DirectoryEntry;

// Small enough that progress and interrupts are looked at a few times a second while a slow CPU
// quantises, large enough for the file system.
constexpr size_t kBatchBytes = size_t{1} << 20;
// At least, so that no thread waits long for the others.
constexpr size_t kPanelsPerThread = 4;

// Panel `index` of a tensor, in the order of the file.
struct PanelSource {
  PanelSource(const TensorSource& tensor, size_t index)
      : matrix(&tensor.matrices[index / kPanelsPerUnit % tensor.matrices.size()]),
        panel(index / kPanelsPerUnit / tensor.matrices.size() * kPanelsPerUnit +
              index % kPanelsPerUnit) {}

  const TensorSource::Matrix* matrix;
  size_t panel;  // of the matrix
};

// `decoded` has room for 16 rows where the source decodes, and is null elsewhere.
absl::Status Pack(const PanelSource& source, WeightType type, float* decoded, std::byte* out) {
  const MatrixSource& m = *source.matrix->source;
  const size_t first = source.panel * kPanelRows;
  if (m.HasBlocksOf(type)) {
    const auto block = [&](size_t r, size_t b) { return m.block(m.SourceRow(first + r), b); };
    // Whole panels of padding end a pair.
    const size_t rows = first < m.rows ? std::min(kPanelRows, m.rows - first) : 0;
    PackBlocks(type, rows, m.cols, block, out);
    return absl::OkStatus();
  }
  const float* rows[kPanelRows] = {};
  for (size_t r = 0; r < kPanelRows; ++r) {
    const size_t row = first + r;
    if (row >= m.rows) break;
    rows[r] = m.Row(row, decoded == nullptr ? nullptr : decoded + r * m.cols);
    if (!IsQuantized(type)) continue;
    const size_t bad = FindUnstorable(type, rows[r], m.cols);
    if (bad == m.cols) continue;
    return absl::DataLossError(
        absl::StrCat("tensor ", source.matrix->name, ", row ", m.SourceRow(row), ", column ", bad,
                     ": ", WeightTypeName(type), " expects a finite number of magnitude up to ",
                     LargestWeight(type), ", found ", rows[r][bad]));
  }
  PackPanel(type, rows, m.cols, out);
  return absl::OkStatus();
}

}  // namespace

TensorWriter::TensorWriter(AtomicFile* file, ThreadPool* pool, Progress progress)
    : file_(file), pool_(pool), progress_(std::move(progress)), decoded_(pool->threads()) {}

absl::Status TensorWriter::Write(const TensorSource& tensor, DirectoryEntry* entry) {
  hash_.Reset();
  offset_ = entry->offset;
  absl::Status status =
      tensor.matrices.empty() ? WriteVector(tensor, *entry) : WriteMatrices(tensor, *entry);
  entry->checksum = hash_.Digest();
  return status;
}

absl::Status TensorWriter::WriteVector(const TensorSource& tensor, const DirectoryEntry& entry) {
  std::vector<std::byte> padded(entry.bytes);
  std::memcpy(padded.data(), tensor.vector.data(), tensor.vector.size_bytes());
  return Append(padded);
}

absl::Status TensorWriter::WriteMatrices(const TensorSource& tensor, const DirectoryEntry& entry) {
  const WeightType type = static_cast<WeightType>(entry.type);
  const size_t panel_bytes = PanelBytes(type, entry.cols);
  const size_t panels = entry.bytes / panel_bytes;
  const size_t batch =
      std::min(panels, std::max(kBatchBytes / panel_bytes, kPanelsPerThread * pool_->threads()));
  if (batch_.size() < batch * panel_bytes) {
    batch_ = {};  // first, so that there are never two
    batch_ = AlignedBuffer<std::byte>(batch * panel_bytes);
  }
  for (const TensorSource::Matrix& m : tensor.matrices) {
    if (m.source->data != nullptr) continue;
    for (std::vector<float>& rows : decoded_) rows.resize(kPanelRows * entry.cols);
  }
  for (size_t begin = 0; begin < panels; begin += batch) {
    const size_t count = std::min(batch, panels - begin);
    if (absl::Status s = PackBatch(tensor, type, begin, count); !s.ok()) return s;
    if (absl::Status s = Append(batch_.span().first(count * panel_bytes)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status TensorWriter::PackBatch(const TensorSource& tensor, WeightType type, size_t begin,
                                     size_t count) {
  const size_t panel_bytes = PanelBytes(type, tensor.matrices[0].source->cols);
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t failed = std::numeric_limits<size_t>::max();
  absl::Status status;
  pool_->Run([&](const ThreadPool::Worker& worker) {
    float* const decoded = decoded_[worker.index()].data();
    // In increasing order, so that every panel before one that fails is packed as well: the first
    // failure is the same however the threads run.
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
      absl::Status packed =
          Pack(PanelSource(tensor, begin + i), type, decoded, batch_.data() + i * panel_bytes);
      if (packed.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (i < failed) {
        failed = i;
        status = std::move(packed);
      }
      return;
    }
  });
  return status;
}

absl::Status TensorWriter::Append(std::span<const std::byte> bytes) {
  hash_.Update(bytes);
  if (absl::Status s = file_->WriteAt(offset_, bytes); !s.ok()) return s;
  offset_ += bytes.size();
  done_ += bytes.size();
  if (progress_ && !progress_(done_)) return absl::CancelledError("the writing was stopped");
  return absl::OkStatus();
}

}  // namespace tvl
