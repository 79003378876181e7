// macOS on Apple Silicon and Intel. Not yet run on a Mac.
#include <sys/sysctl.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cpu_cores.h"

namespace tvl {
namespace {

int64_t SysctlInt(const char* name) {
  int64_t value = 0;
  size_t bytes = sizeof(value);
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 ? value : 0;
}

}  // namespace

size_t DefaultThreadCount() {
  // Level 0 is that of the performance cores.
  const int64_t performance = SysctlInt("hw.perflevel0.physicalcpu");
  if (performance > 0) return static_cast<size_t>(performance);
  const int64_t all = SysctlInt("hw.physicalcpu");
  return all > 0 ? static_cast<size_t>(all) : 1;
}

// Apple's scheduler takes no orders about cores: affinity tags are hints on Intel, and not
// supported on Apple Silicon.
std::vector<int> CoresByPreference() { return {}; }

int CurrentCore() { return -1; }

CorePin::CorePin(int) {}
CorePin::~CorePin() = default;

}  // namespace tvl
