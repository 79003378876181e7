// Opening a model with the threads that suit the machine.
#ifndef TVL_TOOLS_TUNED_MODEL_H_
#define TVL_TOOLS_TUNED_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "models/engine.h"

namespace tvl {

// OpenModel with as many threads as `options` asks for; with those that `tvl bench --tune` has
// found for this machine if it does not say and that has been run; or with the default number.
// `why` says which.
absl::StatusOr<std::unique_ptr<Engine<SelectedKernel>>> OpenTunedModel(const std::string& path,
                                                                       EngineOptions options,
                                                                       std::string* why);

}  // namespace tvl

#endif  // TVL_TOOLS_TUNED_MODEL_H_
