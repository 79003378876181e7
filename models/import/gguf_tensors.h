// A GGUF file's tensors as parts of a model: taken by name, whole or in slices, until all are.
#ifndef TVL_MODELS_IMPORT_GGUF_TENSORS_H_
#define TVL_MODELS_IMPORT_GGUF_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/import/gguf_file.h"
#include "models/model_source.h"

namespace tvl {

// Rows [first, first + rows) of a tensor that has `of` rows. Converters may write matrices that are
// multiplied with the same input as one tensor, one below the other.
struct GgufRows {
  std::string tensor;
  uint32_t rows = 0;
  uint32_t first = 0;
  uint32_t of = 0;  // 0: the tensor has `rows` rows
};

// The first error stays, and everything taken after it is empty. InvalidArgument naming the tensor,
// its shape by the metadata and the one that was found. What is taken points into the file, or into
// decoded_vectors of `model`. Both must outlive this object.
class GgufTensorTaker {
 public:
  GgufTensorTaker(const GgufFile& file, ModelSource* model);

  bool Has(const std::string& name) const { return file_.FindTensor(name) != nullptr; }

  // (rows, cols). `interleaved_rope`: the rows of a head are in RoPE's pairs (2i, 2i + 1).
  MatrixSource Matrix(const GgufRows& rows, uint32_t cols, bool interleaved_rope = false);
  // (size)
  const float* Vector(const std::string& name, uint32_t size);
  // The numbers of a bias; none where the file has no such tensor.
  std::vector<float> Bias(const GgufRows& rows);
  // A copy that the model keeps, in the order in which Matrix() reorders rows; zeros for none.
  const float* KeepBias(const std::vector<float>& bias, uint32_t size, bool interleaved_rope);
  // For tensors that have been used elsewhere, or that say nothing.
  void Skip(const std::string& name) { Mark(file_.FindTensor(name)); }

  const absl::Status& status() const { return status_; }
  // Every tensor must have been taken, but for biases of nothing but zeros.
  absl::Status Finish() const;

 private:
  const GgufTensor* Find(const std::string& name, uint64_t rows, uint64_t cols);
  void Mark(const GgufTensor* tensor);

  const GgufFile& file_;
  ModelSource& model_;
  std::vector<bool> taken_;
  absl::Status status_;
};

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_TENSORS_H_
