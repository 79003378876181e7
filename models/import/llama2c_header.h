// The first bytes of llama2.c's checkpoints: which version, which shapes, where the weights begin.
#ifndef TVL_MODELS_IMPORT_LLAMA2C_HEADER_H_
#define TVL_MODELS_IMPORT_LLAMA2C_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "core/model_config.h"

namespace tvl {

inline constexpr double kLlama2cRopeBase = 10000.0;  // fixed in llama2.c

struct Llama2cHeader {
  int32_t version = 0;
  ModelConfig config;
  uint32_t group_size = 0;  // version 2: weights that share a scale
  size_t bytes = 0;         // of the header; the weights follow
};

// Version 0 is seven int32 and nothing else: the sign of the vocabulary size tells whether the
// classifier is tied (positive). Versions 1 and 2 start with the number 0x616b3432 ("ak42") and
// their version, spend a byte on the tied classifier, in version 2 an int32 on the group size right
// after it, and are filled up with zeros to 256 bytes. No dimension of version 0 is as large as the
// magic number, so it decides.
//
// InvalidArgument naming the header's field, what was expected and found; a file of another known
// format is named. The configuration that comes out is valid.
absl::StatusOr<Llama2cHeader> ParseLlama2cHeader(std::span<const std::byte> file);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_LLAMA2C_HEADER_H_
