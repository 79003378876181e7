// The options of commands that draw tokens.
#ifndef TVL_TOOLS_SAMPLING_OPTIONS_H_
#define TVL_TOOLS_SAMPLING_OPTIONS_H_

#include <string>

#include "CLI/CLI.hpp"
#include "samplers/standard_chain.h"

namespace tvl {

// --temperature, --top-k, --top-p, --min-p and --seed.
void AddSampling(CLI::App& app, SamplingOptions* sampling);

// "greedy", or "top-k 40, temperature 0.8, seed 7".
std::string Describe(const SamplingOptions& sampling);

}  // namespace tvl

#endif  // TVL_TOOLS_SAMPLING_OPTIONS_H_
