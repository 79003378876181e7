// What this program was compiled for, against what this CPU has.
#ifndef TVL_CORE_CPU_FEATURES_H_
#define TVL_CORE_CPU_FEATURES_H_

#include <cstddef>

namespace tvl {

// Writes to `missing` the names of the CPU features that the compiler was told to use and that this
// CPU, or its operating system, lacks; returns how many there are (at most `max` are written). The
// names are string literals.
//
// Safe to call before main and on a CPU that lacks any of them: plain loops, no library, no
// allocation.
size_t MissingCpuFeatures(const char** missing, size_t max);

// The features that the compiler was told to use, as "avx2 fma ..."; for `tvl --version`.
const char* CompiledIsa();

}  // namespace tvl

#endif  // TVL_CORE_CPU_FEATURES_H_
