#include "core/thread_pool.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "core/cpu_cores.h"
#include "core/fp_environment.h"
#include "core/trace.h"
#include "gtest/gtest.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace tvl {
namespace {

using Worker = ThreadPool::Worker;

constexpr size_t kThreadCounts[] = {1, 2, 3, 8};

TEST(ThreadPoolTest, EveryThreadRunsTheBodyOnce) {
  for (const size_t threads : kThreadCounts) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    for (int region = 0; region < 500; ++region) {
      std::vector<int> runs(threads);
      pool.Run([&](const Worker& worker) {
        EXPECT_EQ(worker.count(), threads);
        ++runs[worker.index()];
      });
      ASSERT_EQ(runs, std::vector<int>(threads, 1));
    }
  }
}

// Threads start apart, and are free as soon as they run.
TEST(ThreadPoolTest, UnpinnedThreadsMayRunAnywhere) {
  const std::vector<int> all = CoresByPreference();
  for (const size_t threads : kThreadCounts) {
    ThreadPool pool(threads);
    std::vector<std::vector<int>> allowed(threads);
    pool.Run([&](const Worker& worker) { allowed[worker.index()] = CoresByPreference(); });
    EXPECT_EQ(allowed, std::vector<std::vector<int>>(threads, all));
    EXPECT_FALSE(pool.pinned());
  }
}

// Each thread's waiting is in its ring: at every Sync, and the caller's at the end of a region.
TEST(ThreadPoolTest, TracesItsWaits) {
  for (const size_t threads : kThreadCounts) {
    Trace trace(threads, /*events_per_thread=*/16);
    ThreadPool pool(threads, Pinning::kOff, &trace);
    pool.Run([&](const Worker& worker) {
      ASSERT_EQ(worker.trace(), &trace.ring(worker.index()));
      worker.Sync();
    });
    pool.Run([](const Worker&) {});
    for (size_t thread = 0; thread < threads; ++thread) {
      const std::vector<TraceEvent> events = trace.ring(thread).Events();
      EXPECT_EQ(events.size(), threads == 1 ? 0u : thread == 0 ? 3u : 1u);
      for (const TraceEvent& event : events) EXPECT_EQ(event.op, TraceOp::kWait);
    }
  }
  ThreadPool pool(2);
  pool.Run([](const Worker& worker) { EXPECT_EQ(worker.trace(), nullptr); });
}

TEST(ThreadPoolTest, TheCallerIsWorkerZero) {
  ThreadPool pool(3);
  std::vector<std::thread::id> ids(3);
  pool.Run([&](const Worker& worker) { ids[worker.index()] = std::this_thread::get_id(); });
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  EXPECT_NE(ids[1], ids[0]);
  EXPECT_NE(ids[1], ids[2]);
}

TEST(ThreadPoolTest, SharesCoverAllItemsInOrder) {
  for (const size_t threads : kThreadCounts) {
    ThreadPool pool(threads);
    for (const size_t n : {0, 1, 2, 3, 7, 8, 9, 1000}) {
      std::vector<std::pair<size_t, size_t>> shares(threads);
      pool.Run([&](const Worker& worker) { shares[worker.index()] = worker.Share(n); });
      size_t next = 0;
      for (const auto& [begin, end] : shares) {
        ASSERT_EQ(begin, next);
        ASSERT_LE(begin, end);
        ASSERT_LE(end - begin, n / threads + 1);
        next = end;
      }
      ASSERT_EQ(next, n);
    }
  }
}

// Each phase reads what all threads wrote in the one before: a barrier that lets anybody through
// early shows.
TEST(ThreadPoolTest, SyncMakesEverythingVisible) {
  for (const size_t threads : kThreadCounts) {
    ThreadPool pool(threads);
    constexpr int kRegions = 50, kPhases = 40;
    std::vector<int> cells(threads * 64);  // plain memory, a line apart
    std::atomic<int> wrong{0};
    for (int region = 0; region < kRegions; ++region) {
      pool.Run([&](const Worker& worker) {
        for (int phase = 0; phase < kPhases; ++phase) {
          cells[worker.index() * 64] = region * kPhases + phase;
          worker.Sync();
          for (size_t i = 0; i < worker.count(); ++i) {
            if (cells[i * 64] != region * kPhases + phase) ++wrong;
          }
          worker.Sync();
        }
      });
    }
    EXPECT_EQ(wrong.load(), 0) << threads;
  }
}

TEST(ThreadPoolTest, ResultsAreVisibleToTheCaller) {
  ThreadPool pool(3);
  std::vector<uint64_t> sums(3 * 16);
  for (uint64_t region = 1; region <= 1000; ++region) {
    pool.Run([&](const Worker& worker) { sums[worker.index() * 16] += region; });
    for (size_t i = 0; i < 3; ++i) ASSERT_EQ(sums[i * 16], region * (region + 1) / 2);
  }
}

TEST(ThreadPoolTest, HundredThousandRegionsWithoutDeadlock) {
  ThreadPool pool(2);
  uint64_t counts[2 * 16] = {};
  for (int region = 0; region < 100000; ++region) {
    pool.Run([&](const Worker& worker) { ++counts[worker.index() * 16]; });
  }
  EXPECT_EQ(counts[0], 100000u);
  EXPECT_EQ(counts[16], 100000u);
}

TEST(ThreadPoolTest, OversubscribedPoolsSleepInsteadOfSpinning) {
  const size_t threads = 4 * std::thread::hardware_concurrency() + 1;
  ThreadPool pool(threads);
  std::atomic<size_t> runs{0};
  for (int region = 0; region < 200; ++region) {
    pool.Run([&](const Worker& worker) {
      ++runs;
      worker.Sync();
    });
  }
  EXPECT_EQ(runs.load(), 200 * threads);
}

TEST(ThreadPoolTest, CallersOnSeveralThreadsTakeTurns) {
  ThreadPool pool(3);
  std::atomic<int> inside{0}, overlaps{0};
  std::vector<std::thread> callers;
  std::vector<int> counts(4);
  for (size_t c = 0; c < 4; ++c) {
    callers.emplace_back([&, c] {
      for (int region = 0; region < 500; ++region) {
        pool.Run([&](const Worker& worker) {
          if (worker.index() == 0) {
            if (inside.fetch_add(1) != 0) ++overlaps;
            ++counts[c];
          }
          worker.Sync();
          if (worker.index() == 0) --inside;
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(overlaps.load(), 0);
  EXPECT_EQ(counts, std::vector<int>(4, 500));
}

TEST(ThreadPoolTest, PoolsComeAndGo) {
  for (int i = 0; i < 200; ++i) {
    ThreadPool unused(3);
    ThreadPool used(2);
    int runs[2] = {};
    used.Run([&](const Worker& worker) { ++runs[worker.index()]; });
    ASSERT_EQ(runs[0] + runs[1], 2);
  }
}

// Each thread on a core of its own as far as there are cores, the best ones; what made the pool is
// free again afterwards.
TEST(ThreadPoolTest, PinnedThreadsStayOnTheirCores) {
  const std::vector<int> before = CoresByPreference();
  for (const size_t threads : kThreadCounts) {
    {
      ThreadPool pool(threads, Pinning::kOn);
      EXPECT_EQ(pool.pinned(), !before.empty());
      std::vector<std::vector<int>> cores(threads);
      pool.Run([&](const Worker& worker) { cores[worker.index()] = CoresByPreference(); });
      for (size_t i = 0; i < threads && !before.empty(); ++i)
        EXPECT_EQ(cores[i], std::vector<int>{before[i % before.size()]});
    }
    EXPECT_EQ(CoresByPreference(), before);
  }
  EXPECT_FALSE(ThreadPool(2).pinned());
}

TEST(ThreadPoolTest, AcceptsConstAndTemporaryBodies) {
  ThreadPool pool(2);
  std::atomic<int> runs{0};
  const auto body = [&](const Worker&) { ++runs; };
  pool.Run(body);
  pool.Run([&](const Worker&) { ++runs; });
  EXPECT_EQ(runs.load(), 4);
}

// The floating-point environment as a hostile caller leaves it: subnormals flushed, rounding
// towards zero.
class HostileFpEnvironment {
 public:
#if defined(__x86_64__)
  HostileFpEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8000 | 0x0040 | 0x6000); }
  ~HostileFpEnvironment() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#else
  HostileFpEnvironment() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t{1} << 24) | (uint64_t{3} << 22)));
  }
  ~HostileFpEnvironment() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }
#endif

 private:
  uint64_t saved_;
};

// Volatile, so that the compiler does not compute them.
bool KeepsSubnormals() {
  volatile float smallest = std::numeric_limits<float>::min();
  volatile float half = 0.5f;
  volatile float product = smallest * half;
  return product != 0.0f;
}

bool RoundsToNearest() {
  volatile float one = 1.0f;
  volatile float almost_an_ulp = 0x1.8p-24f;
  volatile float sum = one + almost_an_ulp;
  return sum > 1.0f;
}

TEST(FpEnvironmentTest, CanonicalInsideWhateverTheCallerSet) {
  for (const size_t threads : kThreadCounts) {
    ThreadPool before(threads);  // its threads start from a good environment
    const HostileFpEnvironment hostile;
    ThreadPool after(threads);  // its threads inherit the hostile one
    ASSERT_FALSE(CanonicalFpEnvironment::IsCanonical());
    ASSERT_FALSE(KeepsSubnormals());
    ASSERT_FALSE(RoundsToNearest());
    for (ThreadPool* pool : {&before, &after}) {
      std::atomic<size_t> good{0};
      pool->Run([&](const Worker&) {
        if (CanonicalFpEnvironment::IsCanonical() && KeepsSubnormals() && RoundsToNearest()) ++good;
      });
      EXPECT_EQ(good.load(), threads);
      // The caller gets back what it had.
      EXPECT_FALSE(CanonicalFpEnvironment::IsCanonical());
      EXPECT_FALSE(KeepsSubnormals());
      EXPECT_FALSE(RoundsToNearest());
    }
  }
  EXPECT_TRUE(CanonicalFpEnvironment::IsCanonical());
  EXPECT_TRUE(KeepsSubnormals());
}

}  // namespace
}  // namespace tvl
