// What this machine is and what this process has used of it. One implementation per system.
#ifndef TVL_TOOLS_MACHINE_H_
#define TVL_TOOLS_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tvl {

// "Intel(R) Xeon(R) Processor", "Raspberry Pi 5 Model B Rev 1.0", "Apple M2"; "unknown CPU" where
// the system does not say.
std::string CpuName();

// Hardware threads that this process may use. At least 1.
size_t CoreCount();

// Of the last-level caches of those cores, together. 0 where the system does not say.
uint64_t LastLevelCacheBytes();

// The most memory that this process has had at a time so far, mapped files included. 0 where the
// system does not say.
uint64_t PeakResidentBytes();

// Memory that programs can still have without anything being written to a disk, as far as the
// system says, and 0 where it does not.
uint64_t AvailableBytes();

// Where the user `home` (a folder) keeps what can be made again.
std::string CacheFolderOf(const std::string& home);

}  // namespace tvl

#endif  // TVL_TOOLS_MACHINE_H_
