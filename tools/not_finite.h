// The error for logits that are infinite or NaN: no token can be chosen by them.
#ifndef TVL_TOOLS_NOT_FINITE_H_
#define TVL_TOOLS_NOT_FINITE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tvl {

// DataLoss: of the logits that predict token `token` of a text, counted from 0, some are infinite
// or NaN.
inline absl::Status NotFiniteError(uint64_t token) {
  return absl::DataLossError(
      absl::StrCat("the logits that predict token ", token, " of the text are no numbers"));
}

}  // namespace tvl

#endif  // TVL_TOOLS_NOT_FINITE_H_
