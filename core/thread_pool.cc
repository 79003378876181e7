#include "core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "core/cpu_cores.h"
#include "core/fp_environment.h"
#include "core/signals.h"
#include "core/trace.h"

namespace tvl {
namespace {

// Up to a hundred microseconds: longer than the phases of a small model are apart, shorter than a
// scheduler's tick.
constexpr int kSpins = 4000;

// Two threads of a pool are often woken on the same core. Polling would then keep the core from the
// one that is waited for: without a yield now and then, 30 barriers took 1.76 ms instead of 0.11.
// With the threads apart a yield costs nothing that could be measured.
constexpr int kPollsPerYield = 64;

// With more threads than cores the one waited for may need this very core: every poll gives it
// away, and only after many does the thread sleep, as waking takes longer than most phases. Four
// threads on two cores decode stories110M in q4 with 0.87 of the speed of two; sleeping at once,
// with 0.57.
constexpr int kOversubscribedSpins = 400;

Spinning SpinningFor(size_t threads) {
  if (threads <= std::thread::hardware_concurrency()) return {kSpins, kPollsPerYield};
  return {kOversubscribedSpins, 1};
}

// A core for each thread of a pool that is not pinned, until its first region begins, the caller's
// first; none if they are too few. The system often wakes a fresh thread on the core of the one
// that wakes it, and takes up to 50 ms to move it away: on two cores the first tokens of
// stories110M in q4 took 7.4, 5.7, 5.6 and 5.4 ms instead of 4.2, 3.0, 2.7 and 2.0.
std::vector<int> CoresToStartOn(size_t threads) {
  if (threads == 1) return {};
  std::vector<int> cores = CoresByPreference();
  if (threads > cores.size()) return {};
  const auto mine = std::find(cores.begin(), cores.end(), CurrentCore());
  if (mine == cores.end()) return {};
  std::rotate(cores.begin(), mine, mine + 1);
  return cores;
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // isb waits some tens of cycles; yield is a no-op on most cores.
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace

bool Barrier::Arrive() {
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 != threads_) return false;
  arrived_.store(0, std::memory_order_relaxed);
  // Sequentially consistent, as notify_all looks for sleepers next: not before the new generation
  // is there for them to see.
  generation_.fetch_add(1, std::memory_order_seq_cst);
  generation_.notify_all();
  return true;
}

void Barrier::Wait() {
  const uint32_t generation = generation_.load(std::memory_order_acquire);
  if (Arrive()) return;
  for (int i = 0; i < spinning_.polls; ++i) {
    if (generation_.load(std::memory_order_acquire) != generation) return;
    if ((i + 1) % spinning_.polls_per_yield == 0) {
      std::this_thread::yield();
    } else {
      Pause();
    }
  }
  while (generation_.load(std::memory_order_acquire) == generation) {
    generation_.wait(generation, std::memory_order_acquire);
  }
}

ThreadPool::ThreadPool(size_t threads, Pinning pinning, Trace* trace)
    : trace_(trace), start_(threads, SpinningFor(threads)), inside_(threads, SpinningFor(threads)) {
  const std::vector<int> cores =
      pinning == Pinning::kOn ? CoresByPreference() : CoresToStartOn(threads);
  threads_.reserve(threads - 1);
  try {
    const SignalsBlocked blocked(EndingSignals());
    for (size_t i = 1; i < threads; ++i) {
      const int core = cores.empty() ? -1 : cores[i % cores.size()];
      threads_.emplace_back([this, i, core, pinning] { WorkerLoop(i, core, pinning); });
    }
    if (pinning == Pinning::kOn && !cores.empty()) maker_.emplace(cores[0]);
  } catch (...) {
    // The system has no more threads to give, or no memory for them. Those that run wait for the
    // ones that never came.
    body_ = nullptr;
    for (size_t missing = threads_.size() + 1; missing < threads; ++missing) start_.Arrive();
    start_.Wait();
    for (std::thread& thread : threads_) thread.join();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  if (threads_.empty()) return;
  body_ = nullptr;  // the sign to leave
  start_.Wait();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::RunErased(Erased body, void* context) {
  const std::lock_guard<std::mutex> lock(running_);
  const CanonicalFpEnvironment environment;
  if (threads_.empty()) return body(context, WorkerFor(0));
  body_ = body;
  context_ = context;
  start_.Wait();
  const Worker worker = WorkerFor(0);
  body(context, worker);
  worker.Sync();
}

ThreadPool::Worker ThreadPool::WorkerFor(size_t index) {
  TraceRing* const ring = trace_ == nullptr ? nullptr : &trace_->ring(index);
  if (ring != nullptr) ring->Mark();
  return Worker(index, threads(), &inside_, ring);
}

void ThreadPool::WorkerLoop(size_t index, int core, Pinning pinning) {
  const CanonicalFpEnvironment environment;
  std::optional<CorePin> pin;
  if (core >= 0) pin.emplace(core);
  // threads_ may still be growing: count from the barrier's point of view only after the first
  // release.
  for (;;) {
    start_.Wait();
    if (body_ == nullptr) return;
    // It woke where it should. If that core has other work, the system may move it again.
    if (pinning == Pinning::kOff) pin.reset();
    body_(context_, WorkerFor(index));
    // Not as an event of the trace, which the caller may read once this has let it go.
    inside_.Wait();
  }
}

}  // namespace tvl
