// The embedded model's fingerprint. Built once per backend (see BUILD).
#include <string>

#include "backend_choice.h"
#include "core/kv_slot.h"
#include "gtest/gtest.h"
#include "tests/golden/fingerprint_text.h"
#include "tests/golden/golden_files.h"

namespace tvl {
namespace {

TEST(EmbeddedGoldenTest, Fingerprint) {
  EXPECT_EQ(FingerprintText<SelectedKernel>("", 1, 64), GoldenFingerprint("embedded"));
}

TEST(EmbeddedGoldenTest, FingerprintOfThreeThreadsAndSmallChunks) {
  EXPECT_EQ(FingerprintText<SelectedKernel>("", 3, 2), GoldenFingerprint("embedded"));
}

TEST(EmbeddedGoldenTest, FingerprintOfEveryKvCache) {
  for (const KvType type : kKvTypes) {
    const std::string name = std::string("embedded-kv-") + KvTypeName(type);
    EXPECT_EQ(FingerprintText<SelectedKernel>("", 1, 64, type), GoldenFingerprint(name));
    EXPECT_EQ(FingerprintText<SelectedKernel>("", 2, 5, type), GoldenFingerprint(name));
  }
}

}  // namespace
}  // namespace tvl
