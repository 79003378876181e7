// Makes the checksum of a damaged .tvl file's header right again, so that the damage is reached.
#ifndef TVL_TESTS_SUPPORT_SEAL_H_
#define TVL_TESTS_SUPPORT_SEAL_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "xxhash.h"

namespace tvl::testing {

// Does nothing where the sections that the checksum covers do not lie within the file.
inline void Seal(std::span<std::byte> file) {
  constexpr size_t kHeaderBytes = 64, kEntryBytes = 128, kChecksum = 56;
  if (file.size() < kHeaderBytes) return;
  const auto number = [&]<typename T>(size_t offset, T value) {
    std::memcpy(&value, file.data() + offset, sizeof(value));
    return value;
  };
  const uint64_t directory = number(24, uint64_t{}), config = number(32, uint64_t{});
  const uint64_t directory_bytes = uint64_t{number(48, uint32_t{})} * kEntryBytes;
  const auto fits = [&](uint64_t offset, uint64_t count) {
    return offset <= file.size() && count <= file.size() - offset;
  };
  if (!fits(directory, directory_bytes) || !fits(config, sizeof(uint32_t))) return;
  const uint64_t config_bytes = number(config, uint32_t{});
  if (!fits(config, config_bytes)) return;
  const char* const bytes = reinterpret_cast<const char*>(file.data());
  std::string hashed(bytes, kChecksum);
  hashed.append(bytes + config, config_bytes);
  hashed.append(bytes + directory, directory_bytes);
  const uint64_t checksum = XXH3_64bits(hashed.data(), hashed.size());
  std::memcpy(file.data() + kChecksum, &checksum, sizeof(checksum));
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_SEAL_H_
