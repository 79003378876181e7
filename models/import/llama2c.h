// Checkpoints of llama2.c: version 0 (f32, no magic number), 1 (f32) and 2 (8-bit in groups).
#ifndef TVL_MODELS_IMPORT_LLAMA2C_H_
#define TVL_MODELS_IMPORT_LLAMA2C_H_

#include <cstddef>
#include <span>

#include "absl/status/statusor.h"
#include "models/tvl_writer.h"

namespace tvl {

// A ModelSource that points into `file`, the bytes of a whole checkpoint, 4-byte aligned. The
// header tells the version (llama2c_header.h). Weights of version 2 are q * scale, rounded once,
// decoded row by row when they are asked for; q8 can have their quants as they are, with the scale
// rounded to f16, where the groups are multiples of 32 that divide the rows.
//
// InvalidArgument naming the header's field or the tensor, what was expected and found; a size that
// the header does not explain is given with both sizes. Costs no pass over the weights, but one
// over the scales of version 2. Callers prefix the file's name.
absl::StatusOr<ModelSource> ImportLlama2c(std::span<const std::byte> file);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_LLAMA2C_H_
