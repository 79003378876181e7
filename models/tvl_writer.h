// Writes .tvl files: the same model gives the same bytes on every host, compiler and thread count.
#ifndef TVL_MODELS_TVL_WRITER_H_
#define TVL_MODELS_TVL_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "models/model_source.h"
#include "models/panel_loss.h"
#include "models/recipe.h"

namespace tvl {

// What became of a matrix.
struct MatrixFate {
  const MatrixSource* source;
  WeightType type;
  SquaredLoss loss;  // zeros where the source is exact in the type: then it is not measured
};

struct TvlWriteOptions {
  Recipe types = WeightType::kF32;
  ThreadPool* pool = nullptr;  // null: the calling thread alone
  // Called now and then with the bytes of tensor data written and their total. False stops the
  // writing: Cancelled.
  std::function<bool(uint64_t done, uint64_t total)> progress = nullptr;
  // Where not null, the matrices are added in the order of the file. Takes longer where weights are
  // rounded.
  std::vector<MatrixFate>* fates = nullptr;
};

// Writes `model` with the serialized tokenizer section (may be empty) to `path`, atomically.
// InvalidArgument for an invalid configuration, DataLoss for a weight that its quantised type
// cannot store (models/quantize.h), otherwise the operating system's error; nothing is left behind
// on error.
absl::Status WriteTvl(const ModelSource& model, const std::string& tokenizer_section,
                      const std::string& path, const TvlWriteOptions& options);

// What such a file is like.
struct TvlSummary {
  double bits_per_weight = 0;  // of the matrices, padding included
  // Matrices that are quantised both in the source and in the file, and of these those whose blocks
  // are stored as they are.
  size_t quantized_matrices = 0;
  size_t kept_matrices = 0;
  // Matrices that the recipe's type does not suit (TypeForCols), by that type and their columns.
  struct Replaced {
    WeightType wanted;
    WeightType used;
    uint32_t cols;
    size_t matrices = 0;
  };
  std::vector<Replaced> replaced;
};
TvlSummary SummarizeTvl(const ModelSource& model, const Recipe& types);

}  // namespace tvl

#endif  // TVL_MODELS_TVL_WRITER_H_
