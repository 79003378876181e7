// Prefill and decoding beside the read bandwidth of the same bytes, measured in turn.
#ifndef TVL_TOOLS_BENCHMARK_H_
#define TVL_TOOLS_BENCHMARK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kernel.h"
#include "core/token.h"
#include "models/engine.h"
#include "samplers/greedy.h"
#include "tools/machine.h"
#include "tools/percentile.h"
#include "tools/read_bandwidth.h"
#include "tools/units.h"

namespace tvl {

// One line of the table. Speeds are those of the best round, latencies are over all rounds.
struct BenchRun {
  size_t threads = 0;
  size_t prompt_tokens = 0;
  size_t generated_tokens = 0;
  double prefill_tok_s = 0;
  double decode_tok_s = 0;
  double p50_ms = 0;  // of a decoded token: step and sampling
  double p90_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
  double ttft_ms = 0;  // prefill and sampling, in the best round
  double load_ms = 0;
  double machine_gb_s = 0;  // of memory in pages of 2 MB (MachineRead); 0 where there was no room
  double read_gb_s = 0;     // of the mapped weights, by the better loop
  double decode_gb_s = 0;   // weights only
  double percent_of_machine = 0;
  double percent_of_read = 0;
  // Of the process, up to the end of this run, without the memory of MachineRead.
  double peak_rss_mb = 0;
  // p99 over p50 of a loop that takes the time as often, and does nothing in between but wait as
  // long: what the machine adds by itself.
  double idle_jitter = 0;
  // The same of the prefetching loop that only reads what a token reads: what the memory adds.
  double read_jitter = 0;

  double jitter() const { return p50_ms == 0 ? 0 : p99_ms / p50_ms; }
};

// Measures one model with one number of threads.
template <Kernel K>
class Benchmark {
 public:
  using SessionType = typename Engine<K>::SessionType;

  // `session` is one of `engine`'s, which took `load_seconds` to open. `machine` may be null. All
  // must outlive this.
  Benchmark(Engine<K>* engine, SessionType* session, double load_seconds,
            const MachineRead* machine)
      : engine_(*engine), session_(*session), load_seconds_(load_seconds), machine_(machine) {}

  // Brings in the file's pages and the session's.
  absl::Status WarmUp() {
    ReadOnce(engine_.reader(), engine_.pool(), ReadLoop::kPlain);
    session_.Rewind(0);
    return session_.Prefill(Prompt(std::min<size_t>(2, session_.context())));
  }

  // Rounds of: prefill, decoding of `generate` tokens at the prompt's end or, where the context
  // ends before that, as late as they fit; reading for half of that time, and the machine's memory
  // for a quarter; the idle loop.
  // between(round) is called after each. REQUIRES: 1 <= prompt, generate <= the session's context.
  template <typename Between>
  absl::StatusOr<BenchRun> Run(size_t prompt, size_t generate, size_t rounds, Between&& between) {
    Rounds all;
    for (size_t round = 0; round < rounds; ++round) {
      if (absl::Status s = PrefillRound(prompt, &all); !s.ok()) return s;
      if (absl::Status s = DecodeRound(prompt, generate, &all); !s.ok()) return s;
      const ReadSeconds read =
          MeasureRead(engine_.reader(), engine_.pool(), all.last_decode / 2, &all.reads);
      all.best_read = std::min(all.best_read, read.better());
      if (machine_ != nullptr) {
        all.machine_rate = std::max(
            all.machine_rate, MeasureMachineRate(*machine_, engine_.pool(), all.last_decode / 4));
      }
      IdleRound(generate, &all);
      between(round);
    }
    return Summary(prompt, generate, all);
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  struct Rounds {
    double best_first = kNever;    // seconds to the first token
    double best_prefill = kNever;  // seconds of a prompt
    double best_decode = kNever;   // seconds of all tokens of a round
    double best_read = kNever;     // seconds of a pass over what a token reads
    double machine_rate = 0;       // bytes per second
    double last_decode = 0;
    std::vector<double> steps;  // seconds
    std::vector<double> reads;  // seconds
    std::vector<double> idles;  // seconds
  };

  // Speed does not depend on which tokens these are.
  std::vector<TokenId> Prompt(size_t count) const {
    std::vector<TokenId> tokens;
    for (size_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<TokenId>((i * 7919 + 1) % session_.config().vocab_size));
    return tokens;
  }

  absl::Status PrefillRound(size_t prompt, Rounds* all) {
    const std::vector<TokenId> tokens = Prompt(prompt);
    session_.Rewind(0);
    const Stopwatch watch;
    if (absl::Status s = session_.Prefill(tokens); !s.ok()) return s;
    all->best_prefill = std::min(all->best_prefill, watch.seconds());
    next_ = Greedy().Sample(session_.logits());
    all->best_first = std::min(all->best_first, watch.seconds());
    return absl::OkStatus();
  }

  absl::Status DecodeRound(size_t prompt, size_t generate, Rounds* all) {
    session_.Rewind(std::min(prompt, session_.context() - generate));
    const Stopwatch watch;
    for (size_t i = 0; i < generate; ++i) {
      const Stopwatch step;
      if (absl::Status s = session_.Step(next_); !s.ok()) return s;
      next_ = Greedy().Sample(session_.logits());
      all->steps.push_back(step.seconds());
    }
    all->last_decode = watch.seconds();
    all->best_decode = std::min(all->best_decode, all->last_decode);
    return absl::OkStatus();
  }

  static void IdleRound(size_t count, Rounds* all) {
    const std::vector<double> last(all->steps.end() - static_cast<std::ptrdiff_t>(count),
                                   all->steps.end());
    const double median = Percentile(last, 0.5);
    for (size_t i = 0; i < count; ++i) {
      const Stopwatch idle;
      double seconds = 0;
      do {
        seconds = idle.seconds();
      } while (seconds < median);
      all->idles.push_back(seconds);
    }
  }

  BenchRun Summary(size_t prompt, size_t generate, const Rounds& all) const {
    const double bytes = static_cast<double>(engine_.reader().BytesPerToken());
    BenchRun run;
    run.threads = engine_.threads();
    run.prompt_tokens = prompt;
    run.generated_tokens = generate;
    run.prefill_tok_s = static_cast<double>(prompt) / all.best_prefill;
    run.decode_tok_s = static_cast<double>(generate) / all.best_decode;
    run.p50_ms = 1e3 * Percentile(all.steps, 0.5);
    run.p90_ms = 1e3 * Percentile(all.steps, 0.9);
    run.p99_ms = 1e3 * Percentile(all.steps, 0.99);
    run.max_ms = 1e3 * Percentile(all.steps, 1);
    run.ttft_ms = 1e3 * all.best_first;
    run.load_ms = 1e3 * load_seconds_;
    run.read_gb_s = bytes / all.best_read / 1e9;
    run.decode_gb_s = bytes * run.decode_tok_s / 1e9;
    run.percent_of_read = 100 * run.decode_gb_s / run.read_gb_s;
    uint64_t peak = PeakResidentBytes();
    if (machine_ != nullptr) {
      run.machine_gb_s = all.machine_rate / 1e9;
      run.percent_of_machine = 100 * run.decode_gb_s / run.machine_gb_s;
      peak -= std::min<uint64_t>(peak, machine_->bytes());
    }
    run.peak_rss_mb = static_cast<double>(peak) / 1e6;
    run.idle_jitter = Percentile(all.idles, 0.99) / Percentile(all.idles, 0.5);
    run.read_jitter = Percentile(all.reads, 0.99) / Percentile(all.reads, 0.5);
    return run;
  }

  Engine<K>& engine_;
  SessionType& session_;
  double load_seconds_;
  const MachineRead* machine_;
  TokenId next_ = 0;
};

}  // namespace tvl

#endif  // TVL_TOOLS_BENCHMARK_H_
