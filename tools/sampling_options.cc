#include "tools/sampling_options.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "samplers/standard_chain.h"
#include "tools/command.h"

namespace tvl {

void AddSampling(CLI::App& app, SamplingOptions* sampling) {
  AddNonNegative(app, kTemperatureNames, &sampling->temperature,
                 "0 takes the likeliest token, 1 draws as the model predicts (default: 0)");
  AddCount(app, "--top-k", 0, UINT32_MAX, &sampling->top_k,
           "Draw from the N likeliest tokens; 0 is all (default: 0)");
  AddProbability(
      app, "--top-p", &sampling->top_p,
      "Draw from the likeliest that have this probability together; 1 is all (default: 1)");
  AddProbability(
      app, "--min-p", &sampling->min_p,
      "Draw from those at least this likely beside the likeliest; 0 is all (default: 0)");
  AddCount(app, kSeedNames, 0, UINT64_MAX, &sampling->seed,
           "Of the draws; the same seed gives the same text (default: 0)");
}

std::string Describe(const SamplingOptions& sampling) {
  if (sampling.temperature == 0) return "greedy";
  std::string text;
  if (sampling.top_k > 0) absl::StrAppend(&text, "top-k ", sampling.top_k, ", ");
  if (sampling.top_p < 1) absl::StrAppend(&text, "top-p ", sampling.top_p, ", ");
  if (sampling.min_p > 0) absl::StrAppend(&text, "min-p ", sampling.min_p, ", ");
  return absl::StrCat(text, "temperature ", sampling.temperature, ", seed ", sampling.seed);
}

}  // namespace tvl
