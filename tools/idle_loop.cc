#include "tools/idle_loop.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/thread_pool.h"
#include "tools/percentile.h"
#include "tools/units.h"

namespace tvl {

double MeasureLostShare(size_t threads, double seconds) {
  std::vector<double> shares(threads);
  ThreadPool pool(threads);
  pool.Run([&](const ThreadPool::Worker& worker) {
    const Stopwatch watch;
    IdleWatch idle;
    double now = 0;
    do {
      now = watch.seconds();
      idle.Look(now);
    } while (now < seconds);
    shares[worker.index()] = idle.lost_share();
  });
  return *std::ranges::max_element(shares);
}

bool TooBusy(const std::vector<double>& lost_shares) {
  return Percentile(lost_shares, 0.5) > kMostLost;
}

}  // namespace tvl
