#include "tools/tuned_model.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/selected.h"
#include "models/engine.h"
#include "models/tvl_reader.h"
#include "tools/model.h"
#include "tools/tuning.h"

namespace tvl {

absl::StatusOr<std::unique_ptr<Engine<SelectedKernel>>> OpenTunedModel(const std::string& path,
                                                                       EngineOptions options,
                                                                       std::string* why) {
  *why = "as asked";
  options.adjust = [why](const TvlReader& reader, EngineOptions* choice) {
    if (choice->threads != 0) return;
    const absl::StatusOr<Tuning> tuning =
        FindTuning(std::string(SelectedKernel::kName), reader.BytesPerToken());
    if (tuning.ok()) {
      *why = "tuned";
      choice->threads = tuning->threads;
      if (tuning->pin) choice->pinning = Pinning::kOn;
    } else {
      *why = "default";
      if (!absl::IsNotFound(tuning.status()))
        absl::StrAppend(why, "; ignored: ", tuning.status().message());
    }
  };
  return OpenModel<SelectedKernel>(path, options);
}

}  // namespace tvl
