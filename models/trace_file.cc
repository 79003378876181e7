#include "models/trace_file.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/trace.h"
#include "models/atomic_file.h"
#include "nlohmann/json.hpp"

namespace tvl {
namespace {

using Json = nlohmann::ordered_json;

// One process, whatever its number.
constexpr int kProcess = 1;

// To a tenth of a nanosecond, so that what ends together is written as ending together.
double Rounded(double microseconds) { return std::round(microseconds * 1e4) / 1e4; }

Json ThreadName(size_t thread) {
  return {{"name", "thread_name"},
          {"ph", "M"},
          {"pid", kProcess},
          {"tid", thread},
          {"args", {{"name", thread == 0 ? "thread 0 (main)" : absl::StrCat("thread ", thread)}}}};
}

Json Complete(const TraceEvent& event, const Trace::Timeline& timeline, size_t thread) {
  const double begin = timeline.Microseconds(event.begin), end = timeline.Microseconds(event.end);
  Json args = {{"position", event.position}};
  if (event.layer != TraceEvent::kNoLayer) args["layer"] = event.layer;
  return {{"name", TraceOpName(event.op)},
          {"ph", "X"},
          {"pid", kProcess},
          {"tid", thread},
          {"ts", Rounded(begin)},
          {"dur", Rounded(end - begin)},
          {"args", args}};
}

// What is around comes first.
bool Before(const TraceEvent& a, const TraceEvent& b) {
  return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
}

// Gathers text for few writes: a file may have hundreds of thousands of events, too many for one
// document in memory.
class Output {
 public:
  explicit Output(const std::function<absl::Status(std::string_view)>& append) : append_(append) {}

  absl::Status Append(const std::string& text) {
    buffer_ += text;
    return buffer_.size() < kBufferBytes ? absl::OkStatus() : Flush();
  }
  absl::Status Flush() {
    absl::Status status = append_(buffer_);
    buffer_.clear();
    return status;
  }

 private:
  static constexpr size_t kBufferBytes = size_t{1} << 20;
  const std::function<absl::Status(std::string_view)>& append_;
  std::string buffer_;
};

}  // namespace

absl::Status WriteTrace(const Trace& trace,
                        const std::function<absl::Status(std::string_view)>& append) {
  const Trace::Timeline timeline = trace.timeline();
  Output out(append);
  uint64_t dropped = 0;
  for (const TraceRing& ring : trace.rings()) dropped += ring.dropped();
  const Json other = {{"dropped_events", dropped}};
  absl::Status status = out.Append(absl::StrCat(
      "{\"displayTimeUnit\":\"ns\",\"otherData\":", other.dump(), ",\"traceEvents\":["));
  for (size_t thread = 0; thread < trace.rings().size() && status.ok(); ++thread) {
    status = out.Append(absl::StrCat(thread == 0 ? "\n" : ",\n", ThreadName(thread).dump()));
    std::vector<TraceEvent> events = trace.rings()[thread].Events();
    std::ranges::stable_sort(events, Before);
    for (size_t i = 0; i < events.size() && status.ok(); ++i)
      status = out.Append(absl::StrCat(",\n", Complete(events[i], timeline, thread).dump()));
  }
  if (status.ok()) status = out.Append("\n]}\n");
  return status.ok() ? out.Flush() : status;
}

absl::Status WriteTrace(const Trace& trace, const std::string& path) {
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  uint64_t size = 0;
  absl::Status status = WriteTrace(trace, [&](std::string_view text) {
    const uint64_t at = size;
    size += text.size();
    return file->WriteAt(at, std::as_bytes(std::span(text.data(), text.size())));
  });
  return status.ok() ? file->Commit() : status;
}

}  // namespace tvl
