// Finds weights that are infinite or NaN. A broken conversion, or damage before the checksums were
// taken, leaves them in a file whose checksums are right.
#ifndef TVL_MODELS_FINITE_WEIGHTS_H_
#define TVL_MODELS_FINITE_WEIGHTS_H_

#include "absl/status/status.h"
#include "models/tvl_reader.h"

namespace tvl {

// Reads all of a tensor, padding included, of quantised ones scales and minima. DataLoss if
// something is infinite or NaN: it names the tensor, the place of the first and what is there.
absl::Status CheckFinite(const TensorInfo& tensor);

// `not_numbers`, the error for logits that are infinite or NaN, with the model's name in front, and
// behind it the first tensor of `reader` that is not finite, or that all are. Reads all of the
// file.
absl::Status WithCause(const absl::Status& not_numbers, const TvlReader& reader);

}  // namespace tvl

#endif  // TVL_MODELS_FINITE_WEIGHTS_H_
