#ifndef TVL_TESTS_GOLDEN_FINGERPRINT_TEXT_H_
#define TVL_TESTS_GOLDEN_FINGERPRINT_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "models/engine.h"
#include "tools/logits_hash.h"
#include "tools/model.h"

namespace tvl {

// What `tvl fingerprint` prints; an error's text if it fails.
template <Kernel K>
std::string FingerprintText(const std::string& model, size_t threads, uint64_t prefill_chunk,
                            KvType kv_type = FingerprintOptions().kv_type) {
  auto engine = OpenModel<K>(model, {.threads = threads});
  if (!engine.ok()) return engine.status().ToString();
  FingerprintOptions options;
  options.prefill_chunk = prefill_chunk;
  options.kv_type = kv_type;
  const absl::StatusOr<uint64_t> hash = Fingerprint(**engine, options, [](uint64_t, uint64_t) {});
  return hash.ok() ? absl::StrFormat("%016x", *hash) : hash.status().ToString();
}

}  // namespace tvl

#endif  // TVL_TESTS_GOLDEN_FINGERPRINT_TEXT_H_
