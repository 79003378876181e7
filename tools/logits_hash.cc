#include "tools/logits_hash.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tvl {

static_assert(std::endian::native == std::endian::little);

LogitsHash::LogitsHash() { stream_.Update(std::as_bytes(std::span(&kContractVersion, 1))); }

void LogitsHash::Add(std::span<const float> logits) {
  constexpr size_t kBlock = 1024;
  uint32_t bits[kBlock];
  while (!logits.empty()) {
    const size_t count = std::min(kBlock, logits.size());
    for (size_t i = 0; i < count; ++i) {
      const uint32_t b = std::bit_cast<uint32_t>(logits[i]);
      const uint32_t magnitude = b & 0x7fffffff;
      bits[i] = magnitude > 0x7f800000 ? 0x7fc00000 : magnitude == 0 ? 0 : b;
    }
    stream_.Update(std::as_bytes(std::span(bits, count)));
    logits = logits.subspan(count);
  }
}

}  // namespace tvl
