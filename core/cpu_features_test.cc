#include "core/cpu_features.h"

#include <cstddef>
#include <cstring>
#include <string>

#include "gtest/gtest.h"

namespace tvl {
namespace {

// That this test runs at all means that nothing is missing.
TEST(CpuFeaturesTest, TheMachineThatRunsThisTestHasThemAll) {
  const char* missing[4] = {};
  EXPECT_EQ(MissingCpuFeatures(missing, 4), 0u) << missing[0];
  EXPECT_EQ(missing[0], nullptr);
  EXPECT_EQ(MissingCpuFeatures(nullptr, 0), 0u);
}

TEST(CpuFeaturesTest, CompiledIsaNamesWhatTheCompilerWasTold) {
  const std::string isa = std::string(" ") + CompiledIsa();
#if defined(__AVX2__)
  EXPECT_NE(isa.find(" avx2 "), std::string::npos) << isa;
#endif
#if defined(__AVX512F__)
  EXPECT_NE(isa.find(" avx512f "), std::string::npos) << isa;
#endif
#if defined(__ARM_FEATURE_DOTPROD)
  EXPECT_NE(isa.find(" asimddp "), std::string::npos) << isa;
#elif defined(__aarch64__)
  EXPECT_EQ(isa.find(" asimddp "), std::string::npos) << isa;
#endif
}

}  // namespace
}  // namespace tvl
