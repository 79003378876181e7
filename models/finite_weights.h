// Weights that are no numbers: what a broken conversion, or damage before there was a checksum,
// leaves in a file that is right by its checksums.
#ifndef TVL_MODELS_FINITE_WEIGHTS_H_
#define TVL_MODELS_FINITE_WEIGHTS_H_

#include "absl/status/status.h"
#include "models/tvl_reader.h"

namespace tvl {

// Reads all of a tensor, padding included, of quantised ones scales and minima. DataLoss if
// something is infinite or NaN, which names the tensor, the place of the first and what is there.
absl::Status CheckFinite(const TensorInfo& tensor);

// `not_numbers`, the error of a model's logits that are no numbers, with the model's name before
// and after it the first tensor of `reader` that is not finite, or that there is none. Reads all of
// the file.
absl::Status WithCause(const absl::Status& not_numbers, const TvlReader& reader);

}  // namespace tvl

#endif  // TVL_MODELS_FINITE_WEIGHTS_H_
