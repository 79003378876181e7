// macOS on Apple Silicon and Intel. Not yet run on a Mac.
#include <sys/resource.h>
#include <sys/sysctl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/machine.h"

namespace tvl {
namespace {

int64_t SysctlInt(const char* name) {
  int64_t value = 0;
  size_t bytes = sizeof(value);
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 ? value : 0;
}

}  // namespace

std::string CpuName() {
  char name[128] = {};
  size_t bytes = sizeof(name) - 1;
  if (sysctlbyname("machdep.cpu.brand_string", name, &bytes, nullptr, 0) != 0) return "unknown CPU";
  return name;
}

size_t CoreCount() { return static_cast<size_t>(std::max<int64_t>(1, SysctlInt("hw.logicalcpu"))); }

uint64_t LastLevelCacheBytes() {
  if (const int64_t l3 = SysctlInt("hw.l3cachesize"); l3 > 0) return static_cast<uint64_t>(l3);
  // Apple Silicon: of each cluster of performance cores an L2. It does not tell the size of the
  // cache behind those.
  const int64_t l2 = SysctlInt("hw.perflevel0.l2cachesize");
  const int64_t cores = SysctlInt("hw.perflevel0.physicalcpu");
  const int64_t sharers = SysctlInt("hw.perflevel0.cpusperl2");
  if (l2 <= 0 || cores <= 0 || sharers <= 0) return 0;
  return static_cast<uint64_t>(l2 * ((cores + sharers - 1) / sharers));
}

uint64_t PeakResidentBytes() {
  rusage usage = {};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<uint64_t>(usage.ru_maxrss) : 0;
}

// How much is free changes by the second, as the system compresses and drops pages; half of what is
// there is what a program may well take.
uint64_t AvailableBytes() { return static_cast<uint64_t>(SysctlInt("hw.memsize")) / 2; }

std::string CacheFolderOf(const std::string& home) { return home + "/Library/Caches"; }

}  // namespace tvl
