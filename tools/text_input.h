// Texts that commands are given.
#ifndef TVL_TOOLS_TEXT_INPUT_H_
#define TVL_TOOLS_TEXT_INPUT_H_

#include <string>

#include "absl/status/statusor.h"

namespace tvl {

// All of standard input, which is to be a text: OutOfRange beyond 64 MB.
absl::StatusOr<std::string> ReadStandardInput();

}  // namespace tvl

#endif  // TVL_TOOLS_TEXT_INPUT_H_
