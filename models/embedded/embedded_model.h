#ifndef TVL_MODELS_EMBEDDED_EMBEDDED_MODEL_H_
#define TVL_MODELS_EMBEDDED_EMBEDDED_MODEL_H_

#include <cstddef>
#include <span>

namespace tvl {

// The .tvl file that was linked into this program (--//models:embedded), whole and unchecked, as if
// mapped: read-only, 64 KiB aligned, paged in on first use. Lives as long as the program.
std::span<const std::byte> EmbeddedModel();

}  // namespace tvl

#endif  // TVL_MODELS_EMBEDDED_EMBEDDED_MODEL_H_
