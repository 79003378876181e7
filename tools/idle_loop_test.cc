#include "tools/idle_loop.h"

#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

// A loop that looks every 100 ns for 20 ms, but for turns of others that begin at `begin` and take
// `turn` each, every `period`.
double LostShare(double turn, double period) {
  IdleWatch idle;
  double next_turn = period / 2;
  for (double now = 0; now < 20e-3; now += 100e-9) {
    if (turn > 0 && now >= next_turn) {
      now += turn;
      next_turn += period;
    }
    idle.Look(now);
  }
  return idle.lost_share();
}

TEST(IdleWatchTest, LosesWhatOthersTake) {
  EXPECT_EQ(LostShare(0, 1), 0);
  // Interrupts, a thousand in a second, 10 us each.
  EXPECT_EQ(LostShare(10e-6, 1e-3), 0);
  // The turns of a scheduler: half of the time, a quarter.
  EXPECT_NEAR(LostShare(2e-3, 4e-3), 0.5, 0.01);
  EXPECT_NEAR(LostShare(1e-3, 4e-3), 0.25, 0.01);
}

TEST(IdleWatchTest, OfOneLookOrNoneNothingIsLost) {
  IdleWatch idle;
  EXPECT_EQ(idle.lost_share(), 0);
  idle.Look(7);
  EXPECT_EQ(idle.lost_share(), 0);
}

// Recorded on two cores of a virtual machine: with real-time priority, as if alone, and beside
// compilers.
TEST(TooBusyTest, TellsRecordedMachinesApart) {
  EXPECT_FALSE(TooBusy({0.0905, 0.0697, 0.0718, 0.0791, 0.0711}));
  EXPECT_TRUE(TooBusy({0.7470, 0.6359, 0.8111, 0.6090, 0.7229}));
}

TEST(TooBusyTest, GoesByTheMedianRound) {
  EXPECT_FALSE(TooBusy({0.01, 0.9, 0.02, 0.8, 0.03}));
  EXPECT_TRUE(TooBusy({0.01, 0.9, 0.21, 0.8, 0.03}));
  EXPECT_FALSE(TooBusy({kMostLost, kMostLost, kMostLost}));
  EXPECT_FALSE(TooBusy({}));
}

}  // namespace
}  // namespace tvl
