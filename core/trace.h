// What each thread of a pool did, and when.
#ifndef TVL_CORE_TRACE_H_
#define TVL_CORE_TRACE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tvl {

// A pass runs the tokens of a prompt's chunk, or one; its layers run the operations.
enum class TraceOp : uint8_t {
  kPass,
  kLayer,
  kEmbed,
  kNorm,  // of the residual stream, and the quantisation of what a product reads
  kQkv,
  kAttention,
  kWo,
  kGateUp,  // and SwiGLU
  kW2,
  kClassifier,
  kWait,  // for the other threads
  kSample,
};

// "qkv", "gate_up" ...
constexpr const char* TraceOpName(TraceOp op) {
  constexpr const char* kNames[] = {"pass", "layer",   "embed", "norm",       "qkv",  "attention",
                                    "wo",   "gate_up", "w2",    "classifier", "wait", "sample"};
  return kNames[static_cast<size_t>(op)];
}

// Of a monotonic clock, in nanoseconds.
inline uint64_t TraceTime() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

struct TraceEvent {
  static constexpr uint16_t kNoLayer = 0xFFFF;

  uint64_t begin = 0;
  uint64_t end = 0;
  uint32_t position = 0;  // of the (first) token
  uint16_t layer = kNoLayer;
  TraceOp op = TraceOp::kPass;
};
static_assert(sizeof(TraceEvent) == 24);

// The last events of one thread, in the order of their ends. Written by that thread alone, read by
// others when it rests. On lines of its own, as neighbours write at the same time.
class alignas(128) TraceRing {
 public:
  // Allocates and touches all that it will need. REQUIRES: capacity > 0.
  explicit TraceRing(size_t capacity) : events_(capacity) {}

  // Where the events that end from now on belong.
  void SetPosition(size_t position) { position_ = static_cast<uint32_t>(position); }
  void SetLayer(size_t layer) { layer_ = static_cast<uint16_t>(layer); }
  void SetNoLayer() { layer_ = TraceEvent::kNoLayer; }

  // An operation that began then and ends now. Takes the place of the oldest event when full.
  void Add(TraceOp op, uint64_t begin) {
    events_[next_] = {begin, TraceTime(), position_, layer_, op};
    if (++next_ == events_.size()) next_ = 0;
    ++added_;
  }

  // The oldest first.
  std::vector<TraceEvent> Events() const {
    if (dropped() == 0) return {events_.begin(), events_.begin() + static_cast<ptrdiff_t>(added_)};
    std::vector<TraceEvent> events(events_.begin() + static_cast<ptrdiff_t>(next_), events_.end());
    events.insert(events.end(), events_.begin(), events_.begin() + static_cast<ptrdiff_t>(next_));
    return events;
  }
  uint64_t dropped() const { return added_ <= events_.size() ? 0 : added_ - events_.size(); }

 private:
  std::vector<TraceEvent> events_;
  size_t next_ = 0;
  uint64_t added_ = 0;
  uint32_t position_ = 0;
  uint16_t layer_ = TraceEvent::kNoLayer;
};

// A ring per thread of a pool. That of thread 0 belongs to the thread that calls ThreadPool::Run,
// which may add what it does between passes; where several threads call it, none may.
class Trace {
 public:
  Trace(size_t threads, size_t events_per_thread)
      : rings_(threads, TraceRing(events_per_thread)), start_(TraceTime()) {}

  TraceRing& ring(size_t thread) { return rings_[thread]; }
  const std::vector<TraceRing>& rings() const { return rings_; }
  uint64_t start() const { return start_; }

 private:
  std::vector<TraceRing> rings_;
  uint64_t start_;
};

// An operation from here to the end of the block. Without a ring it costs a branch.
class TraceScope {
 public:
  TraceScope(TraceRing* ring, TraceOp op)
      : ring_(ring), begin_(ring == nullptr ? 0 : TraceTime()), op_(op) {}
  ~TraceScope() {
    if (ring_ != nullptr) ring_->Add(op_, begin_);
  }
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  TraceRing* const ring_;
  const uint64_t begin_;
  const TraceOp op_;
};

}  // namespace tvl

#endif  // TVL_CORE_TRACE_H_
