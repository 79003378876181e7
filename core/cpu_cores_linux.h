// What the test of core/cpu_cores_linux.cc needs of it.
#ifndef TVL_CORE_CPU_CORES_LINUX_H_
#define TVL_CORE_CPU_CORES_LINUX_H_

#include <cstddef>
#include <string>
#include <vector>

namespace tvl::internal {

struct RankedCores {
  std::vector<int> order;  // as CoresByPreference
  size_t performance = 0;  // how many of the first are performance cores
};

// Ranks `allowed` by what the folder `sys`, /sys as a rule, says of each.
RankedCores RankCores(const std::string& sys, const std::vector<int>& allowed);

}  // namespace tvl::internal

#endif  // TVL_CORE_CPU_CORES_LINUX_H_
