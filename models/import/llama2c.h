// Checkpoints of llama2.c, version 0: seven int32 and then f32 weights, without a magic number.
#ifndef TVL_MODELS_IMPORT_LLAMA2C_H_
#define TVL_MODELS_IMPORT_LLAMA2C_H_

#include <cstddef>
#include <span>

#include "absl/status/statusor.h"
#include "models/tvl_writer.h"

namespace tvl {

// A ModelSource that points into `file`, the bytes of a whole checkpoint, 4-byte aligned. The sign
// of the vocabulary size tells whether the classifier is tied (positive) or follows at the end
// (negative). InvalidArgument naming the header's field, what was expected and found; a size that
// the header does not explain is given with both sizes. Callers prefix the file's name.
absl::StatusOr<ModelSource> ImportLlama2c(std::span<const std::byte> file);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_LLAMA2C_H_
