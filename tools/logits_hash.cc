#include "tools/logits_hash.h"

#define XXH_STATIC_LINKING_ONLY  // for XXH3_state_t
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstddef>

namespace tvl {

static_assert(std::endian::native == std::endian::little);

struct LogitsHash::State {
  XXH3_state_t xxh;
};

LogitsHash::LogitsHash() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->xxh);
  XXH3_64bits_update(&state_->xxh, &kContractVersion, sizeof(kContractVersion));
}

LogitsHash::~LogitsHash() = default;

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
    XXH3_64bits_update(&state_->xxh, bits, count * sizeof(uint32_t));
    logits = logits.subspan(count);
  }
}

uint64_t LogitsHash::digest() const { return XXH3_64bits_digest(&state_->xxh); }

}  // namespace tvl
