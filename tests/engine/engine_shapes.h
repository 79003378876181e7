// The models of the engine's tests.
#ifndef TVL_TESTS_ENGINE_ENGINE_SHAPES_H_
#define TVL_TESTS_ENGINE_ENGINE_SHAPES_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/architecture.h"
#include "tests/support/test_model.h"

namespace tvl::testing {

// Heads of 6, 8 and 10: quads that are full and quads that are not; contexts off the panels' 16;
// hidden sizes off the units' 32; more threads than units.
inline const TestShape kShapes[] = {
    {.dim = 36,
     .hidden_dim = 50,
     .n_heads = 6,
     .n_kv_heads = 2,
     .context_length = 83,
     .tied = true},
    {.dim = 64,
     .hidden_dim = 172,
     .n_heads = 8,
     .n_kv_heads = 4,
     .vocab_size = 512,
     .context_length = 90,
     .tied = false},
    {.dim = 50,
     .hidden_dim = 97,
     .n_layers = 3,
     .n_heads = 5,
     .n_kv_heads = 5,
     .context_length = 81,
     .tied = false},
    {.dim = 40,
     .hidden_dim = 31,
     .n_heads = 4,
     .n_kv_heads = 1,
     .head_dim = 12,
     .rope_dims = 6,
     .context_length = 80},
    {.dim = 2,
     .hidden_dim = 1,
     .n_layers = 1,
     .n_heads = 1,
     .n_kv_heads = 1,
     .vocab_size = 3,
     .context_length = 80},
    {.n_heads = 6,
     .n_kv_heads = 2,
     .context_length = 83,
     .architecture = Architecture::kMistral,
     .sliding_window = 21},
    {.dim = 50,
     .hidden_dim = 64,
     .n_heads = 5,
     .n_kv_heads = 1,
     .context_length = 79,
     .architecture = Architecture::kQwen2},
    {.dim = 40,
     .hidden_dim = 33,
     .n_heads = 4,
     .n_kv_heads = 2,
     .head_dim = 14,
     .rope_dims = 10,
     .context_length = 80,
     .architecture = Architecture::kQwen3},
    {.dim = 40,
     .hidden_dim = 70,
     .n_heads = 4,
     .n_kv_heads = 2,
     .context_length = 80,
     .architecture = Architecture::kLlamaBias},
    // Of K-quants: superblocks of 256.
    {.dim = 256,
     .hidden_dim = 256,
     .n_layers = 1,
     .n_heads = 4,
     .n_kv_heads = 2,
     .context_length = 80},
};
inline constexpr size_t kTokens = 77;

inline std::string Name(const TestShape& s) {
  return absl::StrCat(ArchitectureName(s.architecture), ", dim ", s.dim, ", hidden ", s.hidden_dim,
                      ", ", s.n_heads, " heads");
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_ENGINE_ENGINE_SHAPES_H_
