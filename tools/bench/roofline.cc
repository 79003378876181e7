// How close does decoding come to the memory wall?
//
//   ./bazelw run //tools/bench:roofline -- MODEL.tvl [MODEL2.tvl ...] [--threads 1,2]
//
// For every thread count and model, in rounds: loops that load and add over as many bytes of memory
// in pages of 2 MB, which is what the machine can do ("machine", the better of several loops); the
// same over the mapped bytes, cut into the same shares for the same threads ("mapping", the better
// of a plain loop and one with prefetch); then decoding of some tokens. Rounds alternate between
// all models, so that a machine whose speed drifts treats them alike. Prints the best round of
// each, the ratio of the two, and for every model the ratio to the first one's tokens per second.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/selected.h"
#include "core/thread_pool.h"
#include "models/engine.h"
#include "samplers/greedy.h"
#include "tools/read_bandwidth.h"
#include "tools/units.h"

namespace tvl {
namespace {

using EngineType = Engine<SelectedKernel>;

struct Measured {
  std::unique_ptr<EngineType> engine;
  std::vector<EngineType::SessionType> session;  // one; a session has no empty state
  std::optional<MachineRead> machine;            // none where there is no room
  double machine_rate = 0;                       // bytes per second
  double best_mapping = 1e30;                    // seconds per pass over the weights
  double best_token = 1e30;                      // seconds per token, mean of a round
};

absl::Status DecodeRound(Measured& m, int tokens) {
  EngineType::SessionType& session = m.session[0];
  session.Rewind(0);
  if (absl::Status s = session.Step(1); !s.ok()) return s;
  const Stopwatch watch;
  for (int i = 0; i < tokens; ++i) {
    if (absl::Status s = session.Step(Greedy().Sample(session.logits())); !s.ok()) return s;
  }
  m.best_token = std::min(m.best_token, watch.seconds() / tokens);
  return absl::OkStatus();
}

absl::Status MeasureThreads(const std::vector<std::string>& models, size_t threads, int rounds,
                            int tokens) {
  std::vector<Measured> all(models.size());
  for (size_t i = 0; i < models.size(); ++i) {
    auto engine = EngineType::Open(models[i], {.threads = threads});
    if (!engine.ok()) return engine.status();
    all[i].engine = *std::move(engine);
    auto session = all[i].engine->NewSession({});
    if (!session.ok()) return session.status();
    all[i].session.push_back(*std::move(session));
    if (absl::Status s = DecodeRound(all[i], 2); !s.ok()) return s;  // pages in
    all[i].best_token = 1e30;
  }
  ThreadPool pool(threads);
  for (Measured& m : all) {
    auto machine = MachineRead::Create(m.engine->reader().BytesPerToken(), pool);
    if (machine.ok()) m.machine.emplace(*std::move(machine));
  }
  for (int round = 0; round < rounds; ++round) {
    for (Measured& m : all) {
      // Means of a round, as for decoding: the best single pass would be a luckier number.
      const int passes = std::max(1, tokens / 4);
      double plain = 0, ahead = 0;
      for (int i = 0; i < passes; ++i) {
        plain += ReadOnce(m.engine->reader(), pool, ReadLoop::kPlain);
        ahead += ReadOnce(m.engine->reader(), pool, ReadLoop::kAhead);
      }
      m.best_mapping = std::min({m.best_mapping, plain / passes, ahead / passes});
      if (m.machine)
        m.machine_rate = std::max(m.machine_rate, MeasureMachineRate(*m.machine, pool, plain));
      if (absl::Status s = DecodeRound(m, tokens); !s.ok()) return s;
    }
  }
  for (size_t i = 0; i < models.size(); ++i) {
    const Measured& m = all[i];
    const double gigabytes = static_cast<double>(m.engine->reader().BytesPerToken()) / 1e9;
    const double decode = gigabytes / m.best_token, machine = m.machine_rate / 1e9;
    std::printf("%7zu %9.1f %12.2f %13.2f %10.1f%% %13.2f %10.1f%% %8.2fx  %s\n", threads,
                1 / m.best_token, decode, machine, machine == 0 ? 0 : 100 * decode / machine,
                gigabytes / m.best_mapping, 100 * m.best_mapping / m.best_token,
                all[0].best_token / m.best_token, models[i].c_str());
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Decode speed beside the read bandwidth of the same bytes.");
  std::vector<std::string> models;
  std::vector<size_t> threads = {1, 2};
  int rounds = 5;
  int tokens = 24;
  app.add_option("models", models, ".tvl files")->required();
  app.add_option("-t,--threads", threads, "thread counts")->delimiter(',')->capture_default_str();
  app.add_option("--rounds", rounds, "rounds, of which the best counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--tokens", tokens, "tokens of a round")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::printf("backend %s, best of %d rounds\n", std::string(SelectedKernel::kName).c_str(),
              rounds);
  std::printf(
      "threads  tokens/s  decode GB/s  machine GB/s  of machine  mapping GB/s  of mapping vs first "
      " "
      "model\n");
  for (const size_t count : threads) {
    if (count == 0) continue;
    const absl::Status status = MeasureThreads(models, count, rounds, tokens);
    if (!status.ok()) {
      std::fprintf(stderr, "roofline: %s\n", std::string(status.message()).c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  try {
    return tvl::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "roofline: %s\n", error.what());
    return 1;
  }
}
