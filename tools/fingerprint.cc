// tvl fingerprint: one number that every backend, compiler and machine must agree on.
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "backends/selected.h"
#include "tools/command.h"
#include "tools/logits_hash.h"
#include "tools/model.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace tvl {
namespace {

struct Options {
  std::string model;
  uint64_t threads = 0;
  FingerprintOptions fingerprint;
};

absl::Status Run(const Options& options) {
  auto engine = OpenModel<SelectedKernel>(options.model, {.threads = options.threads});
  if (!engine.ok()) return engine.status();
  absl::StatusOr<uint64_t> fingerprint = [&] {
    Progress progress("computing");
    return Fingerprint(**engine, options.fingerprint,
                       [&](uint64_t done, uint64_t total) { progress.Update(done, total); });
  }();
  if (!fingerprint.ok()) return fingerprint.status();
  return Print(absl::StrFormat("%016x\n", *fingerprint));
}

}  // namespace

void AddFingerprint(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      app.add_subcommand("fingerprint", "Hash the logits of a run, to compare machines and builds");
  sub->footer(
      "Runs the prompt and then exactly --tokens greedy steps, and prints 16 hexadecimal digits: "
      "XXH3-64 over the\n"
      "version of the numeric contract and the logits of every position. The same model and "
      "options give the same\n"
      "digits with every backend, compiler, CPU, number of threads and --prefill-chunk.\n"
      "\n"
      "Example:\n"
      "  tvl fingerprint --model stories15M.tvl --threads 4");
  AddModel(*sub, &options->model);
  sub->add_option("-p,--prompt", options->fingerprint.prompt,
                  "Text to begin with (default: Once upon a time)")
      ->type_name("TEXT");
  AddCount(*sub, "-n,--tokens", 0, kMaxPositions, &options->fingerprint.tokens,
           "Greedy steps after the prompt (default: 64)");
  AddThreads(*sub, &options->threads);
  AddPrefillChunk(*sub, &options->fingerprint.prefill_chunk);
  AddKvType(*sub, &options->fingerprint.kv_type);
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
