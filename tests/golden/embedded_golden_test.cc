// The embedded model's fingerprint. Built once per backend (see BUILD).
#include "backend_choice.h"
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

}  // namespace
}  // namespace tvl
