// The selection that top-k and top-p share.
#ifndef TVL_SAMPLERS_KEEP_PREFIX_H_
#define TVL_SAMPLERS_KEEP_PREFIX_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "samplers/logits.h"

namespace tvl {

// Orders the tokens in the running by logit, the largest first, equal ones by id, and keeps the
// shortest prefix whose weights, weight(logit) -> uint64_t each, add up to `need`; all if all are
// less than that. Removes the others. Equal logits must weigh the same (+0 equals -0), and
// all together less than 2^64. REQUIRES: need > 0.
//
// Three passes find the last logit of the prefix from its highest bits to its lowest (a radix
// select), so nothing is sorted or copied, no memory is asked for, and the time depends little on
// what the logits are. Sums of integers are exact: no order of adding them is better than another.
template <typename Weight>
void KeepPrefix(std::span<float> logits, uint64_t need, Weight&& weight) {
  // Unsigned, and in the order of the floats. Adding +0 makes one zero of both.
  const auto key = [](float logit) {
    const uint32_t bits = std::bit_cast<uint32_t>(logit + 0.0f);
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  };
  struct Digit {
    int shift;
    int bits;
  };
  uint64_t last = 0;  // the key of the prefix's last logit, as far as it is known
  for (const Digit digit : {Digit{21, 11}, Digit{10, 11}, Digit{0, 10}}) {
    constexpr size_t kMaxValues = size_t{1} << 11;
    uint64_t sums[kMaxValues] = {};
    const uint64_t mask = (uint64_t{1} << digit.bits) - 1;
    for (const float logit : logits) {
      if (!InTheRunning(logit)) continue;
      const uint64_t k = key(logit) >> digit.shift;
      if (k >> digit.bits == last) sums[k & mask] += weight(logit);
    }
    size_t value = mask;
    for (; sums[value] < need; --value) {
      if (value == 0) return;  // all of them
      need -= sums[value];
    }
    last = last << digit.bits | value;
  }
  // `need` is now what tokens with the last logit have to contribute.
  for (float& logit : logits) {
    const bool running = InTheRunning(logit);
    const uint64_t k = key(logit);
    if (running && k > last) continue;
    if (running && k == last && need > 0) {
      need -= std::min(need, weight(logit));
    } else {
      logit = kRemoved;
    }
  }
}

}  // namespace tvl

#endif  // TVL_SAMPLERS_KEEP_PREFIX_H_
