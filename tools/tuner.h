// The number of threads that decodes a model fastest on this machine.
#ifndef TVL_TOOLS_TUNER_H_
#define TVL_TOOLS_TUNER_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kernel.h"
#include "core/thread_pool.h"
#include "models/engine.h"
#include "samplers/greedy.h"
#include "tools/percentile.h"
#include "tools/tuning.h"
#include "tools/units.h"

namespace tvl {

struct TuneCandidate {
  Tuning tuning;
  std::vector<double> rates;  // tokens/s of each round

  double rate() const { return Percentile(rates, 0.5); }
};

// All numbers of threads up to 8, then steps of an eighth, up to `cores`; each without pinning and,
// if `can_pin`, with it. The simpler comes first.
inline std::vector<TuneCandidate> TuneCandidates(size_t cores, bool can_pin) {
  std::vector<TuneCandidate> candidates;
  for (size_t threads = 1;;) {
    candidates.push_back({{threads, false}, {}});
    if (can_pin) candidates.push_back({{threads, true}, {}});
    if (threads >= cores) return candidates;
    threads = std::min(cores, threads + std::max<size_t>(1, threads / 8));
  }
}

// The simplest that is within 2% of the fastest: differences below that are noise.
inline const TuneCandidate& BestCandidate(const std::vector<TuneCandidate>& candidates) {
  double fastest = 0;
  for (const TuneCandidate& c : candidates) fastest = std::max(fastest, c.rate());
  return *std::find_if(candidates.begin(), candidates.end(),
                       [&](const TuneCandidate& c) { return c.rate() >= 0.98 * fastest; });
}

// Decodes for a moment with each candidate in turn, `rounds` times, so that a machine whose speed
// drifts treats them alike. open(EngineOptions) opens the model. between() is called after each.
template <Kernel K, typename Open, typename Between>
absl::Status MeasureCandidates(Open&& open, size_t rounds, std::vector<TuneCandidate>* candidates,
                               Between&& between) {
  constexpr double kSeconds = 0.1;
  constexpr size_t kLeastTokens = 4;
  for (size_t round = 0; round < rounds; ++round) {
    for (TuneCandidate& candidate : *candidates) {
      auto engine = open(EngineOptions{
          .threads = candidate.tuning.threads,
          .pinning = candidate.tuning.pin ? Pinning::kOn : Pinning::kOff,
      });
      if (!engine.ok()) return engine.status();
      auto session = (*engine)->NewSession({});
      if (!session.ok()) return session.status();
      // The first token brings in pages, of the file and of the session.
      if (absl::Status s = session->Step(0); !s.ok()) return s;
      const Stopwatch watch;
      size_t tokens = 0;
      do {
        if (session->position() == session->context()) session->Rewind(0);
        if (absl::Status s = session->Step(Greedy().Sample(session->logits())); !s.ok()) return s;
        ++tokens;
      } while (watch.seconds() < kSeconds || tokens < kLeastTokens);
      candidate.rates.push_back(static_cast<double>(tokens) / watch.seconds());
      between();
    }
  }
  return absl::OkStatus();
}

}  // namespace tvl

#endif  // TVL_TOOLS_TUNER_H_
