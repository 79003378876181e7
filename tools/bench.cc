// tvl bench: how fast a model runs here, beside how fast its bytes can be read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/selected.h"
#include "core/cpu_cores.h"
#include "core/kv_cache.h"
#include "models/file_kind.h"
#include "tools/bench_report.h"
#include "tools/bench_startup.h"
#include "tools/benchmark.h"
#include "tools/command.h"
#include "tools/idle_loop.h"
#include "tools/machine.h"
#include "tools/mapped_pages.h"
#include "tools/model.h"
#include "tools/output.h"
#include "tools/output_file.h"
#include "tools/percentile.h"
#include "tools/printable.h"
#include "tools/progress.h"
#include "tools/read_bandwidth.h"
#include "tools/tuner.h"
#include "tools/tuning.h"
#include "tools/units.h"
#include "tools/version.h"

namespace tvl {
namespace {

using EngineType = Engine<SelectedKernel>;

constexpr uint64_t kMaxRounds = 1000;

struct Options {
  std::string model;
  std::vector<uint64_t> threads;
  std::vector<uint64_t> prompts = {16, 256, 512};
  uint64_t generate = 128;
  uint64_t rounds = 3;
  bool pin = false;
  uint64_t prefill_chunk = SessionOptions().prefill_chunk;
  KvType kv_type = SessionOptions().kv_type;
  MemoryOptions memory;
  std::string json;
  bool tune = false;
  bool startup = false;
  bool forget = false;
  bool force = false;

  EngineOptions Engine(uint64_t with_threads) const {
    return {
        .threads = with_threads, .pinning = pin ? Pinning::kOn : Pinning::kOff, .memory = memory};
  }
};

std::string MachineName() {
  const size_t cores = CoreCount();
  return absl::StrCat(CpuName(), ", ", cores, cores == 1 ? " core" : " cores");
}

// Cuts what does not fit the context, and says so.
void FitContext(uint64_t context, Options* options) {
  const auto cut = [&](const std::string& what) {
    PrintNote(absl::StrCat("tvl: ", what, " cut to the model's context of ", context,
                           context == 1 ? " position\n" : " positions\n"));
  };
  std::vector<uint64_t> fitting;
  for (const uint64_t prompt : options->prompts) {
    if (prompt > context) cut(absl::StrCat("a prompt of ", prompt, " tokens is"));
    const uint64_t length = std::min(prompt, context);
    if (std::find(fitting.begin(), fitting.end(), length) == fitting.end())
      fitting.push_back(length);
  }
  options->prompts = fitting;
  if (options->generate > context) cut(absl::StrCat(options->generate, " new tokens are"));
  options->generate = std::min(options->generate, context);
}

// All prompts with one number of threads.
absl::Status MeasureThreads(Options options, uint64_t threads, Progress* progress, uint64_t done,
                            BenchReport* report) {
  const Stopwatch loading;
  auto engine = OpenModel<SelectedKernel>(options.model, options.Engine(threads));
  if (!engine.ok()) return engine.status();
  // No more than is measured, as a machine may have no room for all of a long context.
  const uint64_t longest = *std::max_element(options.prompts.begin(), options.prompts.end());
  auto session = (*engine)->NewSession({.context = longest + options.generate,
                                        .prefill_chunk = options.prefill_chunk,
                                        .kv_type = options.kv_type});
  if (!session.ok()) return session.status();
  const double load_seconds = loading.seconds();

  const TvlReader& reader = (*engine)->reader();
  if (report->runs.empty()) {
    report->model = reader.name();
    report->model_bytes = reader.bytes().size();
    report->bytes_per_token = reader.BytesPerToken();
    report->footprint =
        reader.BytesPerToken() +
        KvCache::BytesFor(reader.config(),
                          std::min<uint64_t>(session->context(), longest + options.generate),
                          options.kv_type);
    report->pinned = (*engine)->pinned();
    if (options.pin && !report->pinned) PrintNote(kCannotPin);
  }
  // A machine that has no room for this is measured without.
  const absl::StatusOr<MachineRead> machine =
      MachineRead::Create(reader.BytesPerToken(), (*engine)->pool());
  Benchmark<SelectedKernel> benchmark(engine->get(), &*session, load_seconds,
                                      machine.ok() ? &*machine : nullptr);
  if (absl::Status s = benchmark.WarmUp(); !s.ok()) return s;
  if (report->runs.empty()) report->pages = LookAtPages(reader.bytes());
  const uint64_t total = options.threads.size() * options.prompts.size() * options.rounds;
  for (const uint64_t prompt : options.prompts) {
    auto run = benchmark.Run(prompt, options.generate, options.rounds,
                             [&](size_t) { progress->Update(++done, total); });
    if (!run.ok()) return run.status();
    report->runs.push_back(*run);
  }
  return absl::OkStatus();
}

absl::Status WriteJson(OutputFile* file, const BenchReport& report) {
  if (absl::Status s = file->Append(BenchJson(report)); !s.ok()) return s;
  return file->Commit();
}

absl::StatusOr<uint64_t> ContextOf(const std::string& model) {
  auto engine = OpenModel<SelectedKernel>(model, {.threads = 1});
  if (!engine.ok()) return engine.status();
  return (*engine)->reader().config().context_length;
}

// Drops what --tune has kept of models of this one's size, or all if none is named.
absl::Status RunForget(const std::string& model) {
  std::optional<TuningKey> key;
  if (!model.empty()) {
    const auto engine = OpenModel<SelectedKernel>(model, {.threads = 1});
    if (!engine.ok()) return engine.status();
    key = TuningKeyFor(std::string(SelectedKernel::kName), (*engine)->reader().BytesPerToken());
  }
  const absl::StatusOr<std::string> path = TuningPath();
  if (!path.ok()) return path.status();
  const absl::StatusOr<size_t> count = ForgetTunings(key);
  if (!count.ok()) return count.status();
  if (*count == 0) return Print("there was no tuning to forget\n");
  return Print(absl::StrCat("forgot ", *count, *count == 1 ? " tuning" : " tunings", ", from ",
                            Printable(*path), "\n"));
}

absl::Status RunTune(const std::string& model, bool force) {
  constexpr size_t kRounds = 5;
  constexpr double kIdleSeconds = 0.05;
  const auto open = [&](const EngineOptions& options) {
    return OpenModel<SelectedKernel>(model, options);
  };
  const auto engine = open({.threads = 1});
  if (!engine.ok()) return engine.status();
  const TuningKey key =
      TuningKeyFor(std::string(SelectedKernel::kName), (*engine)->reader().BytesPerToken());
  // Before a minute is spent on what has no place.
  if (const auto path = TuningPath(); !path.ok()) return path.status();
  std::vector<TuneCandidate> candidates =
      TuneCandidates(key.cores, /*can_pin=*/!CoresByPreference().empty());
  std::vector<double> lost;  // of each round
  {
    Progress progress("tuning");
    uint64_t done = 0;
    absl::Status measured = MeasureCandidates<SelectedKernel>(open, kRounds, &candidates, [&] {
      progress.Update(++done, kRounds * candidates.size());
      if (done % candidates.size() == 0) lost.push_back(MeasureLostShare(key.cores, kIdleSeconds));
    });
    if (!measured.ok()) return measured;
  }
  std::string out = absl::StrCat("machine    ", MachineName(), "\nmodel      ",
                                 (*engine)->reader().name(), "\nbackend    ", key.backend, "\n\n");
  for (const TuneCandidate& c : candidates)
    absl::StrAppendFormat(&out, "%-20s %10.1f tokens/s\n", Describe(c.tuning), c.rate());
  absl::StrAppendFormat(&out, "\nidle loop lost %.1f%% of its time (median of the rounds)\n",
                        100 * Percentile(lost, 0.5));
  const Tuning best = BestCandidate(candidates).tuning;
  if (TooBusy(lost) && !force) {
    if (absl::Status s = Print(out); !s.ok()) return s;
    return absl::UnavailableError(
        absl::StrFormat("the tuning is not kept: other programs took %.0f%% of a core while it was "
                        "measured, at most %.0f%% is allowed; end them and try again, or add "
                        "--force",
                        100 * Percentile(lost, 0.5), 100 * kMostLost));
  }
  const absl::StatusOr<std::string> path = SaveTuning(key, best);
  if (!path.ok()) return path.status();
  return Print(absl::StrCat(out, "best: ", Describe(best), "; kept in ", *path, "\n"));
}

absl::Status Run(Options options) {
  if (options.forget) return RunForget(options.model);
  if (options.tune) return RunTune(options.model, options.force);
  if (options.startup) {
    return RunStartup(
        {.model = options.model,
         .prompt = options.prompts[0],
         .rounds = options.rounds,
         .engine = options.Engine(options.threads.empty() ? 0 : options.threads[0]),
         .session = {.prefill_chunk = options.prefill_chunk, .kv_type = options.kv_type}});
  }
  const absl::StatusOr<uint64_t> context = ContextOf(options.model);
  if (!context.ok()) return context.status();
  // Before minutes are spent on what cannot be written.
  std::optional<OutputFile> json;
  if (!options.json.empty()) {
    if (SameFile(options.json, options.model)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.json, ": the output would replace the model"));
    }
    absl::StatusOr<OutputFile> file =
        OutputFile::Create(options.json, FileKind::kReport, options.force);
    if (!file.ok()) return file.status();
    json.emplace(*std::move(file));
  }
  FitContext(*context, &options);
  if (options.threads.empty()) {
    options.threads = {1};
    if (DefaultThreadCount() > 1) options.threads.push_back(DefaultThreadCount());
  }
  BenchReport report;
  report.machine = MachineName();
  report.backend = std::string(SelectedKernel::kName);
  report.version = kVersion;
  report.cache_bytes = LastLevelCacheBytes();
  {
    Progress progress("measuring");
    for (const uint64_t threads : options.threads) {
      const uint64_t done = report.runs.size() * options.rounds;
      if (absl::Status s = MeasureThreads(options, threads, &progress, done, &report); !s.ok())
        return s;
    }
  }
  if (json) {
    if (absl::Status s = WriteJson(&*json, report); !s.ok()) return s;
    if (json->is_standard_output()) return absl::OkStatus();
  }
  return Print(BenchTable(report));
}

constexpr char kFooter[] =
    "For each number of threads and each prompt, in rounds: the prompt, then new tokens one by "
    "one, then a loop\n"
    "that only reads the weights, from the same mapped bytes with the same threads. It has a "
    "plain form and one that\n"
    "prefetches, and the better one is the read bandwidth. Speeds are of the best round, "
    "latencies over all rounds.\n"
    "'idle loop' is p99/p50 of a loop that takes the time as often but only waits, 'read loop' "
    "of passes of the loop\n"
    "that reads: what the machine and its memory add by themselves.\n"
    "\n"
    "--tune decodes with every number of threads, pinned to cores and not, for moments in turn, "
    "and keeps the simplest\n"
    "that is within 2% of the best in the user's cache folder, where 'tvl generate' finds it: "
    "for "
    "this CPU, backend,\n"
    "and size of model. It keeps nothing where other programs take more than a fifth of a core "
    "meanwhile, as a loop that\n"
    "only looks at the clock tells, unless there is --force. --tune --forget drops what was "
    "kept: "
    "of models of this\n"
    "one's size, or without --model all. 'tvl cache list' shows it.\n"
    "\n"
    "--startup measures the way to the first token, again and again from the start: with the "
    "file in memory (warm), and\n"
    "after the system was asked to drop it (cold), beside the time to read() it. Of lists it "
    "takes the first.\n"
    "\n"
    "Examples:\n"
    "  tvl bench\n"
    "  tvl bench --startup -m stories15M.tvl --prompt 1\n"
    "  tvl bench --tune -m stories15M.tvl\n"
    "  tvl bench -m stories15M.tvl --threads 1,2,4 --prompt 16,200 --generate 50 --json "
    "bench.json";

}  // namespace

void AddBench(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("bench", "Measure how fast a model runs on this machine");
  sub->footer(kFooter);
  AddModel(*sub, &options->model);
  std::vector<const CLI::Option*> measured = {
      AddCounts(*sub, "-t,--threads", 1, kMaxThreads, &options->threads,
                "Numbers of threads (default: 1, and one per performance core)"),
      AddCounts(*sub, "-p,--prompt", 1, kMaxPositions, &options->prompts,
                "Tokens in the prompts, at most the model's context (default: 16,256,512)"),
      AddCount(*sub, "-n,--generate", 1, kMaxPositions, &options->generate,
               "New tokens after each (default: 128)"),
      AddCount(*sub, "--rounds", 1, kMaxRounds, &options->rounds, "Rounds of each (default: 3)"),
      AddPin(*sub, &options->pin),
      AddFileName(
          *sub, "--json", &options->json,
          "Also write the results to this file, or - for standard output instead of the tables"),
  };
  const CLI::Option* generate = measured[2];
  const CLI::Option* json = measured[5];
  for (const CLI::Option* option : AddMemory(*sub, &options->memory)) measured.push_back(option);
  const CLI::Option* startup =
      sub->add_flag("--startup", options->startup, "Measure the way to the first token instead");
  measured.push_back(startup);
  const CLI::Option* tune =
      sub->add_flag("--tune", options->tune, "Find and keep the best number of threads instead");
  const CLI::Option* forget = sub->add_flag("--forget", options->forget,
                                            "With --tune: drop what it has kept, measure nothing");
  sub->add_flag(
      "--force", options->force,
      "Replace a file even if tvl did not write it; keep a tuning even if the machine was busy");
  AddPrefillChunk(*sub, &options->prefill_chunk);
  AddKvType(*sub, &options->kv_type);
  sub->callback([=] {
    if (forget->count() > 0 && tune->count() == 0) throw CLI::RequiresError("--forget", "--tune");
    // CLI11's own excludes() says it again in the help of every option.
    for (const CLI::Option* option : measured) {
      if (tune->count() > 0 && option->count() > 0)
        throw CLI::ExcludesError("--tune", option->get_name());
    }
    for (const CLI::Option* option : {generate, json}) {
      if (startup->count() > 0 && option->count() > 0)
        throw CLI::ExcludesError("--startup", option->get_name());
    }
    *action = [options] { return Run(*options); };
  });
}

}  // namespace tvl
