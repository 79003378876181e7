// A fixed pool of threads that run one body together, with a barrier between its phases.
#ifndef TVL_CORE_THREAD_POOL_H_
#define TVL_CORE_THREAD_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/cpu_cores.h"
#include "core/trace.h"

namespace tvl {

// How a thread waits before it sleeps: it polls, and yields its core on every polls_per_yield-th
// poll.
struct Spinning {
  int polls;
  int polls_per_yield;
};

// All threads meet, then all go on. Waiting is a bounded spin, then a futex: with idle cores a
// barrier costs about a microsecond, and an oversubscribed machine slows down instead of
// collapsing.
class Barrier {
 public:
  Barrier(size_t threads, Spinning spinning)
      : threads_(static_cast<uint32_t>(threads)), spinning_(spinning) {}
  void Wait();
  // One arrival without waiting; true if it was the last.
  bool Arrive();

 private:
  const uint32_t threads_;
  const Spinning spinning_;
  // On lines of their own, 128 bytes on Apple Silicon: arrivals must not disturb those who poll the
  // generation.
  alignas(128) std::atomic<uint32_t> arrived_{0};
  alignas(128) std::atomic<uint32_t> generation_{0};
};

enum class Pinning { kOff, kOn };

class ThreadPool {
 public:
  // What one thread knows about the region it runs in.
  class Worker {
   public:
    size_t index() const { return index_; }
    size_t count() const { return count_; }
    // Everything that any thread wrote before is visible to all after.
    void Sync() const {
      if (count_ == 1) return;
      const TraceScope wait(trace_, TraceOp::kWait);
      barrier_->Wait();
    }
    // Null unless the pool has a trace.
    TraceRing* trace() const { return trace_; }
    // This thread's contiguous share of n items. Units of matrices dealt out in turn instead were
    // neither faster nor slower: stories110M in f16 on two pinned threads of a Xeon, three times
    // ten rounds of 16 tokens in turn, medians of 89.5, 87.6 and 92.4 tokens/s contiguously
    // and 87.2, 86.7 and 94.1 in turn; in f32 43.7, 46.8, 47.1 and 43.7, 47.0, 47.5.
    std::pair<size_t, size_t> Share(size_t n) const {
      return {n * index_ / count_, n * (index_ + 1) / count_};
    }

   private:
    friend class ThreadPool;
    Worker(size_t index, size_t count, Barrier* barrier, TraceRing* trace)
        : index_(index), count_(count), barrier_(barrier), trace_(trace) {}
    size_t index_;
    size_t count_;
    Barrier* barrier_;
    TraceRing* trace_;
  };

  // `threads` >= 1 includes the calling thread, which works too. Throws std::system_error if the
  // system has no more threads to give; none is left running then.
  //
  // With kOn each thread is kept on one core, in the order of CoresByPreference(), the thread that
  // makes the pool, which is taken for the one that will call Run, for as long as the pool lives:
  // another pool that it makes meanwhile has one core. Without effect where the system does not let
  // a program choose cores.
  //
  // `trace`, if not null, has a ring for each thread and outlives the pool.
  explicit ThreadPool(size_t threads, Pinning pinning = Pinning::kOff, Trace* trace = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t threads() const { return threads_.size() + 1; }
  bool pinned() const { return maker_.has_value() && maker_->ok(); }

  // Calls body(worker) on every thread of the pool, the caller included, and returns when all are
  // done. Allocates nothing. Callers on several threads take turns. Every thread computes with
  // round-to-nearest and with subnormals, whatever the caller's floating-point environment.
  template <typename Body>
  void Run(Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    RunErased([](void* context, const Worker& worker) { (*static_cast<Plain*>(context))(worker); },
              const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  using Erased = void (*)(void* context, const Worker& worker);
  void RunErased(Erased body, void* context);
  void WorkerLoop(size_t index, int core, Pinning pinning);  // core < 0: any
  Worker WorkerFor(size_t index);                            // of a region that begins

  Trace* const trace_;
  std::mutex running_;
  Barrier start_;   // releases the workers into a region
  Barrier inside_;  // Worker::Sync
  Erased body_ = nullptr;
  void* context_ = nullptr;
  std::vector<std::thread> threads_;
  std::optional<CorePin> maker_;
};

}  // namespace tvl

#endif  // TVL_CORE_THREAD_POOL_H_
