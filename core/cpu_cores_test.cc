#include "core/cpu_cores.h"

#include <algorithm>
#include <cstddef>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(DefaultThreadCountTest, IsWithinTheMachine) {
  EXPECT_GE(DefaultThreadCount(), 1u);
  EXPECT_LE(DefaultThreadCount(), std::thread::hardware_concurrency());
}

TEST(CoresByPreferenceTest, NamesEachOnce) {
  std::vector<int> cores = CoresByPreference();
  EXPECT_LE(cores.size(), std::thread::hardware_concurrency());
  std::sort(cores.begin(), cores.end());
  EXPECT_EQ(std::adjacent_find(cores.begin(), cores.end()), cores.end());
}

TEST(CorePinTest, HoldsForItsLifeOnly) {
  const std::vector<int> before = CoresByPreference();
  for (const int core : before) {
    const CorePin pin(core);
    ASSERT_TRUE(pin.ok());
    EXPECT_EQ(CoresByPreference(), std::vector<int>{core});
    EXPECT_EQ(DefaultThreadCount(), 1u);
  }
  EXPECT_EQ(CoresByPreference(), before);
}

TEST(CorePinTest, EndsOnAnotherThread) {
  const std::vector<int> before = CoresByPreference();
  if (before.empty()) return;  // pinning is not to be had
  auto* pin = new CorePin(before.back());
  std::thread([pin] { delete pin; }).join();
  EXPECT_EQ(CoresByPreference(), before);
}

TEST(CurrentCoreTest, IsThePinned) {
  for (const int core : CoresByPreference()) {
    const CorePin pin(core);
    EXPECT_EQ(CurrentCore(), core);
  }
  EXPECT_GE(CurrentCore(), -1);
}

TEST(CorePinTest, CoresThatAreNone) {
  const std::vector<int> before = CoresByPreference();
  for (const int core : {1023, 1000000, -1}) {
    const CorePin pin(core);
    EXPECT_FALSE(pin.ok());
    EXPECT_EQ(CoresByPreference(), before);
  }
}

}  // namespace
}  // namespace tvl
