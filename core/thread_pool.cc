#include "core/thread_pool.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "core/fp_environment.h"

namespace tvl {
namespace {

// Some tens of microseconds: longer than the phases of a small model are apart, shorter than a
// scheduler's tick.
constexpr int kSpins = 4000;

// Polling is wasted when the one waited for has no core to run on.
int SpinsFor(size_t threads) { return threads <= std::thread::hardware_concurrency() ? kSpins : 0; }

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // isb waits some tens of cycles; yield is a no-op on most cores.
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace

void Barrier::Wait() {
  const uint32_t generation = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    return;
  }
  for (int i = 0; i < spins_; ++i) {
    if (generation_.load(std::memory_order_acquire) != generation) return;
    Pause();
  }
  while (generation_.load(std::memory_order_acquire) == generation) {
    generation_.wait(generation, std::memory_order_acquire);
  }
}

ThreadPool::ThreadPool(size_t threads)
    : start_(threads, SpinsFor(threads)), inside_(threads, SpinsFor(threads)) {
  threads_.reserve(threads - 1);
  for (size_t i = 1; i < threads; ++i) threads_.emplace_back([this, i] { WorkerLoop(i); });
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
  if (threads_.empty()) return body(context, Worker(0, 1, &inside_));
  body_ = body;
  context_ = context;
  start_.Wait();
  body(context, Worker(0, threads(), &inside_));
  inside_.Wait();
}

void ThreadPool::WorkerLoop(size_t index) {
  const CanonicalFpEnvironment environment;
  // threads_ may still be growing: count from the barrier's point of view only after the first
  // release.
  for (;;) {
    start_.Wait();
    if (body_ == nullptr) return;
    body_(context_, Worker(index, threads(), &inside_));
    inside_.Wait();
  }
}

}  // namespace tvl
