#include "core/cpu_cores_linux.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <tuple>
#include <vector>

#include "core/cpu_cores.h"

namespace tvl {
namespace {

class File {
 public:
  explicit File(const std::string& path) : file_(std::fopen(path.c_str(), "re")) {}
  ~File() {
    if (file_ != nullptr) std::fclose(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::FILE* get() const { return file_; }

 private:
  std::FILE* file_;
};

// The number in a file; 0 without one.
int64_t ReadNumber(const std::string& path) {
  const File file(path);
  int64_t value = 0;
  return file.get() != nullptr && std::fscanf(file.get(), "%" SCNd64, &value) == 1 ? value : 0;
}

// A list as "0-3,8,10-11"; empty without the file.
std::vector<int> ReadList(const std::string& path) {
  constexpr int64_t kMax = 1 << 16;
  const File file(path);
  std::vector<int> list;
  int64_t first, last;
  while (file.get() != nullptr && std::fscanf(file.get(), "%" SCNd64, &first) == 1) {
    if (std::fscanf(file.get(), "-%" SCNd64, &last) != 1) last = first;
    for (int64_t i = std::max<int64_t>(first, 0); i <= std::min(last, kMax); ++i)
      list.push_back(static_cast<int>(i));
    if (std::fgetc(file.get()) != ',') break;
  }
  return list;
}

bool Contains(const std::vector<int>& list, int value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

struct Core {
  int cpu;
  int64_t speed;   // in whatever unit the system has; 0 where it does not say: all are alike
  bool again;      // another hardware thread of a core that is listed already
  bool efficient;  // an efficiency core

  auto Rank() const { return std::tuple(again, efficient, -speed, cpu); }
};

// The kernel's capacity says it all where there is one (ARM; x86 since 6.12).
int64_t Speed(const std::string& cpu) {
  const int64_t capacity = ReadNumber(cpu + "/cpu_capacity");
  return capacity != 0 ? capacity : ReadNumber(cpu + "/cpufreq/cpuinfo_max_freq");
}

std::vector<int> CpusOf(const cpu_set_t& set) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Those of a thread; 0 is the calling one. Empty if the system does not say.
std::vector<int> AllowedCpus(pid_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(thread, sizeof(set), &set) == 0 ? CpusOf(set) : std::vector<int>();
}

bool Allow(pid_t thread, const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  return sched_setaffinity(thread, sizeof(set), &set) == 0;
}

// Cores' worth of time that a container may use, as cgroup v2 limits it; 0 when it does not.
size_t CgroupCores() {
  const File file("/sys/fs/cgroup/cpu.max");
  int64_t quota = 0, period = 0;
  if (file.get() == nullptr) return 0;
  // "max 100000" has no quota.
  if (std::fscanf(file.get(), "%" SCNd64 " %" SCNd64, &quota, &period) != 2) return 0;
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<size_t>((quota + period - 1) / period);
}

}  // namespace

namespace internal {

RankedCores RankCores(const std::string& sys, const std::vector<int>& allowed) {
  // Intel's hybrid CPUs list their efficiency cores; by frequency alone, some come close.
  const std::vector<int> atoms = ReadList(sys + "/devices/cpu_atom/cpus");
  std::vector<Core> cores;
  int64_t fastest = 0;
  for (const int cpu : allowed) {
    const std::string folder = sys + "/devices/system/cpu/cpu" + std::to_string(cpu);
    const std::vector<int> siblings = ReadList(folder + "/topology/thread_siblings_list");
    const bool again = std::any_of(cores.begin(), cores.end(),
                                   [&](const Core& c) { return Contains(siblings, c.cpu); });
    cores.push_back({cpu, Speed(folder), again, Contains(atoms, cpu)});
    fastest = std::max(fastest, cores.back().speed);
  }
  RankedCores ranked;
  for (Core& core : cores) {
    // Within a quarter of the fastest: the middle cores of three-tier phones count, the efficiency
    // cores do not.
    core.efficient = core.efficient || 4 * core.speed < 3 * fastest;
    if (!core.again && !core.efficient) ++ranked.performance;
  }
  std::sort(cores.begin(), cores.end(),
            [](const Core& a, const Core& b) { return a.Rank() < b.Rank(); });
  for (const Core& core : cores) ranked.order.push_back(core.cpu);
  return ranked;
}

}  // namespace internal

size_t DefaultThreadCount() {
  const size_t limit = CgroupCores();
  const internal::RankedCores cores = internal::RankCores("/sys", AllowedCpus(0));
  // Of efficiency cores alone, those.
  const size_t count = cores.performance > 0 ? cores.performance : cores.order.size();
  return std::max<size_t>(1, limit == 0 ? count : std::min(count, limit));
}

std::vector<int> CoresByPreference() { return internal::RankCores("/sys", AllowedCpus(0)).order; }

int CurrentCore() { return sched_getcpu(); }

CorePin::CorePin(int core) : thread_(gettid()), before_(AllowedCpus(0)) {
  ok_ = !before_.empty() && Allow(0, {core});
}

CorePin::~CorePin() {
  if (ok_) Allow(thread_, before_);
}

}  // namespace tvl
