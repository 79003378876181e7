// macOS on Apple Silicon and Intel. Not yet run on a Mac.
#include <sys/sysctl.h>

#include <cstddef>
#include <cstdint>

#include "core/cpu_features.h"

namespace tvl {
namespace {

int64_t SysctlInt(const char* name) {
  int64_t value = 0;
  size_t bytes = sizeof(value);
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 ? value : 0;
}

// Every Apple Silicon Mac has what -mcpu=apple-m1 asks for; what came later has a sysctl.
#if defined(__aarch64__)
bool Present(const char* name) {
  struct Known {
    const char* name;
    const char* sysctl;
  };
  constexpr Known kLater[] = {{"i8mm", "hw.optional.arm.FEAT_I8MM"},
                              {"bf16", "hw.optional.arm.FEAT_BF16"}};
  for (const Known& known : kLater) {
    if (__builtin_strcmp(known.name, name) == 0) return SysctlInt(known.sysctl) != 0;
  }
  return true;
}
#else
bool Present(const char*) { return true; }
#endif

}  // namespace

size_t MissingCpuFeatures(const char** missing, size_t max) {
  size_t count = 0;
#define TVL_FEATURE(name)                    \
  if (!Present(#name)) {                     \
    if (count < max) missing[count] = #name; \
    ++count;                                 \
  }
#include "core/required_features.h"
#undef TVL_FEATURE
  return count;
}

const char* CompiledIsa() {
#define TVL_FEATURE(name) #name " "
  return
#include "core/required_features.h"
      "";
#undef TVL_FEATURE
}

}  // namespace tvl
