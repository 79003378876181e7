#include "tools/run_options.h"

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/selected.h"
#include "models/engine.h"
#include "models/tvl_reader.h"
#include "tools/command.h"
#include "tools/model.h"
#include "tools/output.h"
#include "tools/tuning.h"

namespace tvl {

void AddEngineOptions(CLI::App& app, RunOptions* options) {
  AddThreads(app, &options->threads);
  AddPin(app, &options->pin);
  AddMemory(app, &options->memory);
}

void AddSessionOptions(CLI::App& app, RunOptions* options, const std::string& kv_type_note) {
  AddCount(app, kContextNames, 1, kMaxPositions, &options->context,
           "Positions to make room for (default: the model's)");
  AddPrefillChunk(app, &options->prefill_chunk);
  AddKvType(app, &options->kv_type, kv_type_note);
}

absl::StatusOr<std::unique_ptr<Engine<SelectedKernel>>> OpenTunedModel(const RunOptions& options,
                                                                       size_t trace_events,
                                                                       std::string* why) {
  EngineOptions chosen = {.threads = options.threads,
                          .pinning = options.pin ? Pinning::kOn : Pinning::kOff,
                          .memory = options.memory,
                          .trace_events = trace_events};
  *why = "as asked";
  chosen.adjust = [why](const TvlReader& reader, EngineOptions* choice) {
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
  auto engine = OpenModel<SelectedKernel>(options.model, chosen);
  if (engine.ok() && options.pin && !(*engine)->pinned()) PrintNote(kCannotPin);
  return engine;
}

}  // namespace tvl
