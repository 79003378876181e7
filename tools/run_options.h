// What commands that write with a model let people choose about running it.
#ifndef TVL_TOOLS_RUN_OPTIONS_H_
#define TVL_TOOLS_RUN_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/kv_slot.h"
#include "models/engine.h"
#include "models/weight_memory.h"

namespace tvl {

struct RunOptions {
  std::string model;     // a file; empty: the embedded model
  uint64_t threads = 0;  // 0: what suits the machine
  bool pin = false;
  MemoryOptions memory;
  uint64_t context = 0;  // 0: the model's
  uint64_t prefill_chunk = SessionOptions().prefill_chunk;
  KvType kv_type = SessionOptions().kv_type;

  SessionOptions session() const {
    return {.context = context, .prefill_chunk = prefill_chunk, .kv_type = kv_type};
  }
};

// --threads, --pin, and those of AddMemory.
void AddEngineOptions(CLI::App& app, RunOptions* options);
// --context, --prefill-chunk, --kv-dtype. `kv_type_note` follows what AddKvType says of the
// default.
void AddSessionOptions(CLI::App& app, RunOptions* options, const std::string& kv_type_note = "");

// OpenModel with as many threads as were asked for; with those that `tvl bench --tune` has found
// for this machine if none were and that has been run; or with the default number. `why` says
// which. Notes on standard error that threads cannot be pinned as asked.
absl::StatusOr<std::unique_ptr<Engine<SelectedKernel>>> OpenTunedModel(const RunOptions& options,
                                                                       size_t trace_events,
                                                                       std::string* why);

}  // namespace tvl

#endif  // TVL_TOOLS_RUN_OPTIONS_H_
