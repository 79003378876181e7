#include "models/tensor_writer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/float16.h"
#include "core/tile.h"
#include "models/quantize.h"
#include "models/quantize_k.h"
#include "models/tile_packer.h"

namespace tvl {
namespace {

using format::DirectoryEntry;

// Small enough that a batch is still in the cache when it is hashed and written, and that progress
// and interrupts are looked at often while a slow CPU quantises.
constexpr size_t kBatchBytes = size_t{256} << 10;
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

bool IsFiniteF16(uint16_t half) {
  constexpr uint16_t kExponent = 0x7c00;
  return (half & kExponent) != kExponent;
}

// Of all blocks of a packed panel, by its lines of scales and of minima. (The integer scales of
// K-quants are finite; the line of what they are multiplied by begins a superblock.)
bool HasFiniteScales(WeightType type, size_t cols, const std::byte* panel) {
  constexpr size_t kHalves = kLineBytes / sizeof(uint16_t);
  const bool k_quant = IsKQuant(type);
  const size_t lines = k_quant ? 1 : SuperblockLines(type) - SuperblockQuantLines(type);
  uint16_t line[kHalves];
  size_t bad = 0;
  for (size_t k = 0; k < PaddedCols(type, cols); k += SuperblockCols(type)) {
    const size_t index = k_quant ? TileIndexKScale(type, 0, k) : TileIndexScale(type, 0, k);
    const std::byte* scales = panel + index * sizeof(uint16_t);
    for (size_t i = 0; i < lines; ++i) {
      std::memcpy(line, scales + i * kLineBytes, kLineBytes);
      for (const uint16_t half : line) bad += !IsFiniteF16(half);
    }
  }
  return bad == 0;
}

// A damaged source's scales are found here, where all of it is read.
absl::Status PackSourceBlocks(const PanelSource& source, WeightType type, std::byte* out) {
  const MatrixSource& m = *source.matrix->source;
  const size_t first = source.panel * kPanelRows;
  // Whole panels of padding end a pair.
  const size_t rows = first < m.rows ? std::min(kPanelRows, m.rows - first) : 0;
  size_t source_rows[kPanelRows];
  for (size_t r = 0; r < rows; ++r) source_rows[r] = m.SourceRow(first + r);
  const auto block = [&](size_t r, size_t b) { return m.block(source_rows[r], b); };
  const auto superblock = [&](size_t r, size_t s, QuantizedSuperblock* taken) {
    m.superblock(source_rows[r], s, taken);
  };
  const bool k_quant = IsKQuant(type);
  if (k_quant) {
    PackSuperblocks(type, rows, m.cols, superblock, out);
  } else {
    PackBlocks(type, rows, m.cols, block, out);
  }
  if (HasFiniteScales(type, m.cols, out)) return absl::OkStatus();
  // Scale and minimum of the block, or of the K-quants' superblock, that input k is in.
  const auto steps = [&](size_t r, size_t k) -> std::array<uint16_t, 2> {
    if (k_quant) {
      QuantizedSuperblock taken;
      superblock(r, k / kKSuperblock, &taken);
      return {taken.scale, taken.minimum};
    }
    const QuantizedBlock taken = block(r, k / kQuantBlock);
    return {taken.scale, taken.minimum};
  };
  for (size_t r = 0; r < rows; ++r) {
    for (size_t k = 0; k < m.cols; k += k_quant ? kKSuperblock : kQuantBlock) {
      for (const uint16_t half : steps(r, k)) {
        if (IsFiniteF16(half)) continue;
        return absl::DataLossError(absl::StrCat(
            "tensor ", source.matrix->name, ", row ", source_rows[r], ", column ", k,
            ": expected a block with a finite scale and minimum, found ", F16ToF32(half)));
      }
    }
  }
  return absl::OkStatus();
}

// `decoded` has room for 16 rows where the source decodes, and is null elsewhere. `loss` may be
// null.
absl::Status Pack(const PanelSource& source, WeightType type, float* decoded, std::byte* out,
                  SquaredLoss* loss) {
  const MatrixSource& m = *source.matrix->source;
  const size_t first = source.panel * kPanelRows;
  const bool has_blocks = m.HasBlocksOf(type);
  if (has_blocks) {
    if (absl::Status s = PackSourceBlocks(source, type, out); !s.ok()) return s;
    if (loss == nullptr) return absl::OkStatus();
  }
  const float* rows[kPanelRows] = {};
  for (size_t r = 0; r < kPanelRows; ++r) {
    const size_t row = first + r;
    if (row >= m.rows) break;
    rows[r] = m.Row(row, decoded == nullptr ? nullptr : decoded + r * m.cols);
    if (!IsQuantized(type) || has_blocks) continue;
    const size_t bad = FindUnstorable(type, rows[r], m.cols);
    if (bad == m.cols) continue;
    return absl::DataLossError(
        absl::StrCat("tensor ", source.matrix->name, ", row ", m.SourceRow(row), ", column ", bad,
                     ": ", WeightTypeName(type), " expects a finite number of magnitude up to ",
                     LargestWeight(type), ", found ", rows[r][bad]));
  }
  if (!has_blocks) PackPanel(type, rows, m.cols, out);
  if (loss != nullptr) *loss = MeasurePanel(type, rows, m.cols, out);
  return absl::OkStatus();
}

}  // namespace

TensorWriter::TensorWriter(AtomicFile* file, ThreadPool* pool, Progress progress)
    : pieces_(file), pool_(pool), progress_(std::move(progress)), decoded_(pool->threads()) {}

absl::Status TensorWriter::Write(const TensorSource& tensor, DirectoryEntry* entry,
                                 std::span<SquaredLoss> losses) {
  hash_.Reset();
  offset_ = entry->offset;
  absl::Status status =
      tensor.matrices.empty() ? WriteVector(tensor, *entry) : WriteMatrices(tensor, *entry, losses);
  entry->checksum = hash_.Digest();
  return status;
}

absl::Status TensorWriter::WriteVector(const TensorSource& tensor, const DirectoryEntry& entry) {
  const auto bad = std::ranges::find_if(tensor.vector, [](float x) { return !std::isfinite(x); });
  if (bad != tensor.vector.end()) {
    return absl::DataLossError(absl::StrCat("tensor ", tensor.name, ", number ",
                                            bad - tensor.vector.begin(),
                                            ": expected a finite number, found ", *bad));
  }
  std::vector<std::byte> padded(entry.bytes);
  std::memcpy(padded.data(), tensor.vector.data(), tensor.vector.size_bytes());
  return Append(padded);
}

absl::Status TensorWriter::WriteMatrices(const TensorSource& tensor, const DirectoryEntry& entry,
                                         std::span<SquaredLoss> losses) {
  const WeightType type = static_cast<WeightType>(entry.type);
  const size_t panel_bytes = PanelBytes(type, entry.cols);
  const size_t panels = entry.bytes / panel_bytes;
  const size_t batch =
      std::min(panels, std::max(kBatchBytes / panel_bytes, kPanelsPerThread * pool_->threads()));
  for (AlignedBuffer<std::byte>& buffer : batches_) {
    if (buffer.size() >= batch * panel_bytes) continue;
    buffer = {};  // first, so that there are never three
    buffer = AlignedBuffer<std::byte>(batch * panel_bytes);
  }
  for (const TensorSource::Matrix& m : tensor.matrices) {
    if (m.source->data != nullptr) continue;
    for (std::vector<float>& rows : decoded_) rows.resize(kPanelRows * entry.cols);
  }
  std::span<const std::byte> packed;
  for (size_t begin = 0; begin < panels; begin += batch) {
    const size_t count = std::min(batch, panels - begin);
    const std::span<std::byte> out = batches_[0].span().first(count * panel_bytes);
    if (absl::Status s = PackBatch(tensor, type, begin, packed, out, losses); !s.ok()) return s;
    std::swap(batches_[0], batches_[1]);
    packed = out;
  }
  return Append(packed);
}

absl::Status TensorWriter::PackBatch(const TensorSource& tensor, WeightType type, size_t begin,
                                     std::span<const std::byte> before, std::span<std::byte> out,
                                     std::span<SquaredLoss> losses) {
  const size_t panel_bytes = PanelBytes(type, tensor.matrices[0].source->cols);
  const size_t count = out.size() / panel_bytes;
  absl::Status appended;
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t failed = std::numeric_limits<size_t>::max();
  absl::Status status;
  std::vector<SquaredLoss> panel_losses(losses.empty() ? 0 : count);
  pool_->Run([&](const ThreadPool::Worker& worker) {
    if (worker.index() == 0) appended = Append(before);
    float* const decoded = decoded_[worker.index()].data();
    // In increasing order, so that every panel before one that fails is packed as well: the first
    // failure is the same however the threads run.
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
      absl::Status packed =
          Pack(PanelSource(tensor, begin + i), type, decoded, out.data() + i * panel_bytes,
               losses.empty() ? nullptr : &panel_losses[i]);
      if (packed.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (i < failed) {
        failed = i;
        status = std::move(packed);
      }
      return;
    }
  });
  if (!appended.ok()) return appended;
  // In the order of the file, so that the sums do not depend on the threads either.
  for (size_t i = 0; i < panel_losses.size(); ++i) {
    const PanelSource panel(tensor, begin + i);
    losses[static_cast<size_t>(panel.matrix - tensor.matrices.data())] += panel_losses[i];
  }
  return status;
}

absl::Status TensorWriter::Append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return absl::OkStatus();
  hash_.Update(bytes);
  if (absl::Status s = pieces_.Append(offset_, bytes); !s.ok()) return s;
  offset_ += bytes.size();
  done_ += bytes.size();
  if (progress_ && !progress_(done_)) return absl::CancelledError("the writing was stopped");
  return absl::OkStatus();
}

}  // namespace tvl
