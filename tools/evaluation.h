// How well a model predicts a text, alone or beside another model.
#ifndef TVL_TOOLS_EVALUATION_H_
#define TVL_TOOLS_EVALUATION_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/finite.h"
#include "core/kernel.h"
#include "core/token.h"
#include "models/engine.h"
#include "models/finite_weights.h"
#include "models/tvl_reader.h"
#include "samplers/greedy.h"
#include "tools/log_softmax.h"
#include "tools/not_finite.h"

namespace tvl {

// Mean and spread of numbers as they come (Welford): no difference of large sums, and the same
// digits on every machine.
class Mean {
 public:
  void Add(double x) {
    ++count_;
    const double delta = x - mean_;
    mean_ += delta / static_cast<double>(count_);
    squares_ += delta * (x - mean_);
  }
  uint64_t count() const { return count_; }
  double mean() const { return mean_; }
  // Of the mean, as if the numbers were independent. NaN for fewer than two.
  double standard_error() const {
    if (count_ < 2) return std::numeric_limits<double>::quiet_NaN();
    const double n = static_cast<double>(count_);
    return std::sqrt(squares_ / (n - 1) / n);
  }

 private:
  uint64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // of the distances from the mean
};

struct Evaluation {
  uint64_t windows = 0;
  Mean nats;  // -log p(token) of every predicted token

  // Beside another model only.
  Mean other_nats;
  Mean difference;          // nats - other's nats, of the same token
  Mean divergence;          // D(other || model)
  uint64_t agreements = 0;  // tokens at which both find the same token likeliest

  double agreement() const {
    return static_cast<double>(agreements) / static_cast<double>(nats.count());
  }
};

// Runs texts through one model, or through two side by side.
template <Kernel K>
class Evaluator {
 public:
  // `other` may be null. REQUIRES: window >= 2 and within the context of both models, which have
  // the same vocabulary.
  static absl::StatusOr<Evaluator> Create(Engine<K>* model, Engine<K>* other, size_t window,
                                          KvType kv_type) {
    // The last token of a window is predicted, not run.
    const SessionOptions options = {.context = window - 1, .kv_type = kv_type, .all_logits = true};
    auto session = model->NewSession(options);
    if (!session.ok()) return session.status();
    Evaluator evaluator(&model->reader(), *std::move(session));
    if (other == nullptr) return evaluator;
    auto beside = other->NewSession(options);
    if (!beside.ok()) return beside.status();
    evaluator.other_reader_ = &other->reader();
    evaluator.other_ = *std::move(beside);
    evaluator.other_logits_.resize(options.prefill_chunk * model->reader().config().vocab_size);
    return evaluator;
  }

  // Cuts `text` into consecutive windows and predicts each of its tokens once, from those before it
  // in its window. A window begins with `bos`; if that is negative, with the token before, and then
  // the first token of the text is not predicted. progress(done, total) is called now and then.
  // DataLoss if logits are not numbers.
  template <typename Progress>
  absl::StatusOr<Evaluation> Run(std::span<const TokenId> text, TokenId bos, Progress&& progress) {
    Evaluation result;
    const size_t room = session_.context();
    for (size_t at = bos < 0 ? 1 : 0; at < text.size(); at += room, ++result.windows) {
      const std::span<const TokenId> targets = text.subspan(at, std::min(room, text.size() - at));
      std::vector<TokenId> inputs = {bos < 0 ? text[at - 1] : bos};
      inputs.insert(inputs.end(), targets.begin(), targets.end() - 1);
      session_.Rewind(0);
      if (other_) other_->Rewind(0);
      for (size_t done = 0; done < inputs.size(); done += kChunk) {
        const size_t count = std::min(kChunk, inputs.size() - done);
        absl::Status status =
            RunChunk(std::span(inputs).subspan(done, count), targets.subspan(done, count), &result);
        if (!status.ok()) return status;
        progress(at + done + count, text.size());
      }
    }
    return result;
  }

 private:
  using SessionType = typename Engine<K>::SessionType;
  static constexpr size_t kChunk = SessionOptions().prefill_chunk;

  Evaluator(const TvlReader* reader, SessionType session)
      : reader_(reader), session_(std::move(session)) {}

  absl::Status RunChunk(std::span<const TokenId> inputs, std::span<const TokenId> targets,
                        Evaluation* result) {
    if (other_) {
      auto to = other_logits_.begin();
      absl::Status status = other_->PrefillAll(
          inputs, [&](std::span<const float> logits) { to = std::ranges::copy(logits, to).out; });
      if (!status.ok()) return status;
    }
    size_t i = 0;
    absl::Status numbers = absl::OkStatus();
    absl::Status status = session_.PrefillAll(inputs, [&](std::span<float> logits) {
      const size_t target = static_cast<size_t>(targets[i]);
      const size_t row = i++ * logits.size();
      const std::span<float> other =
          other_ ? std::span(other_logits_).subspan(row, logits.size()) : std::span<float>();
      if (absl::Status s = Add(logits, other, target, result); numbers.ok()) numbers = s;
    });
    return status.ok() ? numbers : status;
  }

  absl::Status Add(std::span<float> logits, std::span<float> other, size_t target,
                   Evaluation* result) {
    const auto not_numbers = [&](const TvlReader& reader) {
      return WithCause(NotFiniteError(result->nats.count()), reader);
    };
    if (!AllFinite(logits)) return not_numbers(*reader_);
    const double log_sum = LogSumExp(logits);
    const double nats = log_sum - static_cast<double>(logits[target]);
    if (!other.empty()) {
      if (!AllFinite(other)) return not_numbers(*other_reader_);
      const double other_sum = LogSumExp(other);
      const double other_nats = other_sum - static_cast<double>(other[target]);
      result->other_nats.Add(other_nats);
      result->difference.Add(nats - other_nats);
      result->divergence.Add(KlDivergence(other, other_sum, logits, log_sum));
      if (Greedy().Sample(logits) == Greedy().Sample(other)) ++result->agreements;
    }
    result->nats.Add(nats);
    return absl::OkStatus();
  }

  const TvlReader* reader_;
  const TvlReader* other_reader_ = nullptr;
  SessionType session_;
  std::optional<SessionType> other_;
  std::vector<float> other_logits_;  // (kChunk, vocab_size)
};

}  // namespace tvl

#endif  // TVL_TOOLS_EVALUATION_H_
