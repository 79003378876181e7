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

// Of the processor's own clock, which runs evenly and is the same on all cores of what is built
// for: 10 ns to read on a Xeon, the system's clock 22. A token of a small model has a hundred
// events per thread.
inline uint64_t TraceTicks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

struct TraceEvent {
  static constexpr uint16_t kNoLayer = 0xFFFF;

  uint64_t begin = 0;  // TraceTicks
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

  // What comes next begins now. Otherwise it begins where the last event ended, which saves every
  // second look at the clock.
  void Mark() { mark_ = TraceTicks(); }
  uint64_t mark() const { return mark_; }

  // An operation that began then and ends now. Takes the place of the oldest event when full.
  void Add(TraceOp op, uint64_t begin) {
    Mark();
    events_[next_] = {begin, mark_, position_, layer_, op};
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
  uint64_t mark_ = TraceTicks();
  uint32_t position_ = 0;
  uint16_t layer_ = TraceEvent::kNoLayer;
};

// A ring per thread of a pool. That of thread 0 belongs to the thread that calls ThreadPool::Run,
// which may add what it does between passes; where several threads call it, none may.
class Trace {
 public:
  Trace(size_t threads, size_t events_per_thread) : rings_(threads, TraceRing(events_per_thread)) {}

  TraceRing& ring(size_t thread) { return rings_[thread]; }
  const std::vector<TraceRing>& rings() const { return rings_; }

  // Since it was made. Ticks are as long as they have been on average since then.
  class Timeline {
   public:
    double Microseconds(uint64_t ticks) const {
      return static_cast<double>(ticks - start_) * microseconds_per_tick_;
    }

   private:
    friend class Trace;
    Timeline(uint64_t start, double microseconds_per_tick)
        : start_(start), microseconds_per_tick_(microseconds_per_tick) {}
    uint64_t start_;
    double microseconds_per_tick_;
  };
  Timeline timeline() const {
    const uint64_t ticks = TraceTicks() - start_;
    const std::chrono::duration<double, std::micro> time = Clock::now() - start_time_;
    return Timeline(start_, ticks == 0 ? 0 : time.count() / static_cast<double>(ticks));
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::vector<TraceRing> rings_;
  Clock::time_point start_time_ = Clock::now();
  uint64_t start_ = TraceTicks();
};

// An operation from the ring's mark to the end of the block. Without a ring it costs a branch.
class TraceScope {
 public:
  TraceScope(TraceRing* ring, TraceOp op)
      : ring_(ring), begin_(ring == nullptr ? 0 : ring->mark()), op_(op) {}
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
