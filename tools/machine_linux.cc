#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "core/cpu_cores.h"
#include "tools/machine.h"

namespace tvl {
namespace {

// The first line of a file; empty without one.
std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  // A device tree's strings end with a zero byte.
  while (!line.empty() && line.back() == '\0') line.pop_back();
  return line;
}

// What follows "field :" in the first line that begins so; empty without one.
std::string Field(const std::string& path, std::string_view field) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.compare(0, field.size(), field) != 0 || colon == std::string::npos) continue;
    if (line.find_first_not_of(" \t", field.size()) != colon) continue;
    const size_t value = line.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

// "260K", "32M": what sysfs says of a cache's size.
uint64_t CacheSize(const std::string& text) {
  uint64_t size = 0;
  size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9' && size < (uint64_t{1} << 40); ++i)
    size = 10 * size + static_cast<uint64_t>(text[i] - '0');
  const char unit = i < text.size() ? text[i] : ' ';
  return unit == 'K' ? size << 10 : unit == 'M' ? size << 20 : unit == 'G' ? size << 30 : size;
}

}  // namespace

std::string CpuName() {
  // x86 has a model name; ARM has not, but a board or an implementer's number.
  if (std::string name = Field("/proc/cpuinfo", "model name"); !name.empty()) return name;
  if (std::string name = FirstLine("/proc/device-tree/model"); !name.empty()) return name;
  const std::string implementer = Field("/proc/cpuinfo", "CPU implementer");
  if (implementer.empty()) return "unknown CPU";
  return absl::StrCat("CPU implementer ", implementer, ", part ",
                      Field("/proc/cpuinfo", "CPU part"));
}

size_t CoreCount() {
  const size_t allowed = CoresByPreference().size();
  return allowed != 0 ? allowed : std::max<size_t>(1, std::thread::hardware_concurrency());
}

uint64_t LastLevelCacheBytes() {
  uint64_t bytes = 0;
  std::set<std::string> counted;
  for (const int cpu : CoresByPreference()) {
    const std::string folder = absl::StrCat("/sys/devices/system/cpu/cpu", cpu, "/cache/index");
    std::string last;
    int last_level = 0;
    for (int i = 0;; ++i) {
      const std::string cache = absl::StrCat(folder, i);
      const std::string level = FirstLine(cache + "/level");
      if (level.empty()) break;
      if (FirstLine(cache + "/type") == "Instruction" || level[0] - '0' < last_level) continue;
      last_level = level[0] - '0';
      last = cache;
    }
    // Cores that share a cache are listed with it.
    if (last.empty()) return 0;
    const std::string sharers = FirstLine(last + "/shared_cpu_list");
    if (counted.insert(sharers).second) bytes += CacheSize(FirstLine(last + "/size"));
  }
  return bytes;
}

uint64_t PeakResidentBytes() {
  const std::string peak = Field("/proc/self/status", "VmHWM");  // "5120 kB"
  if (!peak.empty()) return CacheSize(peak.substr(0, peak.find(' ')) + "K");
  rusage usage = {};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<uint64_t>(usage.ru_maxrss) << 10 : 0;
}

uint64_t AvailableBytes() {
  const std::string free = Field("/proc/meminfo", "MemAvailable");  // "20480000 kB"
  if (free.empty()) return 0;
  const uint64_t bytes = CacheSize(free.substr(0, free.find(' ')) + "K");
  // A container may have less: "max", or bytes.
  uint64_t limit = 0, used = 0;
  if (!absl::SimpleAtoi(FirstLine("/sys/fs/cgroup/memory.max"), &limit) ||
      !absl::SimpleAtoi(FirstLine("/sys/fs/cgroup/memory.current"), &used))
    return bytes;
  return std::min(bytes, limit - std::min(used, limit));
}

std::string CacheFolderOf(const std::string& home) { return home + "/.cache"; }

}  // namespace tvl
