#include "models/trace_file.h"

#include <cstddef>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "core/trace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tvl {
namespace {

// The order and the nesting of a real run's events: tests/cli/trace_test.sh.
TEST(WriteTraceTest, SaysWhatWasDropped) {
  Trace trace(/*threads=*/2, /*events_per_thread=*/4);
  for (size_t i = 0; i < 6; ++i) {
    trace.ring(1).SetPosition(i);
    const TraceScope scope(&trace.ring(1), TraceOp::kGateUp);
    trace.ring(1).SetLayer(i * 10);
  }
  const std::string path = ::testing::TempDir() + "trace.json";
  ASSERT_EQ(WriteTrace(trace, path), absl::OkStatus());

  std::ifstream in(path);
  const nlohmann::json json = nlohmann::json::parse(in);
  EXPECT_EQ(json["otherData"]["dropped_events"], 2);
  const nlohmann::json& events = json["traceEvents"];
  ASSERT_EQ(events.size(), 2u + 4u);  // the threads' names, and what is left
  EXPECT_EQ(events[0]["args"]["name"], "thread 0 (main)");
  EXPECT_EQ(events[1]["args"]["name"], "thread 1");
  double last = 0;
  for (size_t i = 2; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["name"], "gate_up");
    EXPECT_EQ(events[i]["ph"], "X");
    EXPECT_EQ(events[i]["tid"], 1);
    EXPECT_EQ(events[i]["args"]["position"], i);
    EXPECT_EQ(events[i]["args"]["layer"], i * 10);
    EXPECT_GE(events[i]["ts"], last);
    EXPECT_GE(events[i]["dur"], 0.0);
    last = events[i]["ts"];
  }
}

}  // namespace
}  // namespace tvl
