// Tensors into a file: packed some panels at a time, by several threads, and written in order.
#ifndef TVL_MODELS_TENSOR_WRITER_H_
#define TVL_MODELS_TENSOR_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "models/atomic_file.h"
#include "models/checksum.h"
#include "models/model_source.h"
#include "models/panel_loss.h"
#include "models/piece_writer.h"
#include "models/tvl_format.h"

namespace tvl {

// What becomes one tensor of the file: a vector, a matrix, or two as an interleaved pair.
struct TensorSource {
  struct Matrix {
    std::string name;  // for errors: w1 and w3 where the tensor is w13
    const MatrixSource* source;
  };
  std::string name;
  std::span<const float> vector;
  std::vector<Matrix> matrices;        // none, one or two
  WeightType type = WeightType::kF32;  // of the matrices
  // What the recipe asks for, which their columns may not allow (TypeForCols).
  WeightType wanted = WeightType::kF32;
};

// Memory stays bounded by two batches of panels and a piece of the file, whatever the model; the
// bytes do not depend on the threads.
class TensorWriter {
 public:
  // Called after each batch with the bytes of tensor data written. False stops the writing.
  using Progress = std::function<bool(uint64_t done)>;

  TensorWriter(AtomicFile* file, ThreadPool* pool, Progress progress);

  // Writes the data where the entry says, and fills in the entry's checksum. DataLoss for a
  // weight that the entry's type cannot store, a block whose scale is not finite, or a number of a
  // vector that is not; the first of them, in the order of the file. Cancelled if stopped;
  // otherwise the file's errors.
  //
  // losses: none, or one for each matrix, to which is added what it costs.
  absl::Status Write(const TensorSource& tensor, format::DirectoryEntry* entry,
                     std::span<SquaredLoss> losses = {});
  // After the last tensor: writes what waits for more.
  absl::Status Finish() { return pieces_.Flush(); }

 private:
  absl::Status WriteVector(const TensorSource& tensor, const format::DirectoryEntry& entry);
  absl::Status WriteMatrices(const TensorSource& tensor, const format::DirectoryEntry& entry,
                             std::span<SquaredLoss> losses);
  // Appends `before` and, meanwhile, packs the panels from `begin` on into `out`.
  absl::Status PackBatch(const TensorSource& tensor, WeightType type, size_t begin,
                         std::span<const std::byte> before, std::span<std::byte> out,
                         std::span<SquaredLoss> losses);
  absl::Status Append(std::span<const std::byte> bytes);

  PieceWriter pieces_;
  ThreadPool* const pool_;
  const Progress progress_;
  uint64_t done_ = 0;
  uint64_t offset_ = 0;  // in the file, of what comes next
  Xxh3Stream hash_;
  // (panels of a batch, panel bytes) each: what is packed, and what was and is appended.
  AlignedBuffer<std::byte> batches_[2];
  std::vector<std::vector<float>> decoded_;  // per thread (16, cols): rows that are not f32
};

}  // namespace tvl

#endif  // TVL_MODELS_TENSOR_WRITER_H_
