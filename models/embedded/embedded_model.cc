#include "models/embedded/embedded_model.h"

#include <cstddef>
#include <span>

// Defined in embedded_model.S.
extern "C" {
extern const std::byte tvl_embedded_model_begin[];
extern const std::byte tvl_embedded_model_end[];
}

namespace tvl {

std::span<const std::byte> EmbeddedModel() {
  return {tvl_embedded_model_begin, tvl_embedded_model_end};
}

}  // namespace tvl
