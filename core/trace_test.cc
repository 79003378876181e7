#include "core/trace.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(TraceTest, AScopeIsAnEventWithItsPlace) {
  Trace trace(/*threads=*/2, /*events_per_thread=*/8);
  TraceRing& ring = trace.ring(1);
  ring.SetPosition(7);
  ring.Mark();
  {
    const TraceScope pass(&ring, TraceOp::kPass);
    ring.SetLayer(3);
    { const TraceScope wait(&ring, TraceOp::kWait); }
    ring.SetNoLayer();
  }
  { const TraceScope off(nullptr, TraceOp::kSample); }
  EXPECT_TRUE(trace.ring(0).Events().empty());
  const std::vector<TraceEvent> events = ring.Events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::string(TraceOpName(events[0].op)), "wait");
  EXPECT_EQ(events[0].layer, 3);
  EXPECT_EQ(std::string(TraceOpName(events[1].op)), "pass");
  EXPECT_EQ(events[1].layer, TraceEvent::kNoLayer);
  for (const TraceEvent& event : events) EXPECT_EQ(event.position, 7u);
  const Trace::Timeline timeline = trace.timeline();
  EXPECT_GE(timeline.Microseconds(events[1].begin), 0);
  EXPECT_LT(timeline.Microseconds(events[1].end), 60e6);
  EXPECT_LE(events[1].begin, events[0].begin);
  EXPECT_LE(events[0].begin, events[0].end);
  EXPECT_LE(events[0].end, events[1].end);
  EXPECT_EQ(std::string(TraceOpName(TraceOp::kSample)), "sample");
}

TEST(TraceTest, TicksAreTime) {
  const Trace trace(1, 1);
  const uint64_t begin = TraceTicks();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const uint64_t end = TraceTicks();
  const Trace::Timeline timeline = trace.timeline();
  const double slept = timeline.Microseconds(end) - timeline.Microseconds(begin);
  EXPECT_GE(slept, 49e3);
  EXPECT_LE(slept, 5e6);
}

TEST(TraceTest, TheOldestGoWhenItIsFull) {
  constexpr size_t kCapacity = 4;
  for (size_t count = 0; count < 3 * kCapacity; ++count) {
    TraceRing ring(kCapacity);
    for (size_t i = 0; i < count; ++i) {
      ring.SetPosition(i);
      ring.Add(TraceOp::kEmbed, ring.mark());
    }
    const std::vector<TraceEvent> events = ring.Events();
    const size_t kept = count < kCapacity ? count : kCapacity;
    ASSERT_EQ(events.size(), kept);
    EXPECT_EQ(ring.dropped(), count - kept);
    for (size_t i = 0; i < kept; ++i) EXPECT_EQ(events[i].position, count - kept + i);
  }
}

}  // namespace
}  // namespace tvl
