#include "tools/bench_report.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "tools/units.h"

namespace tvl {
namespace {

std::string CacheSentence(uint64_t footprint, uint64_t cache) {
  if (cache == 0) return "unknown: this system does not tell the cache's size";
  return absl::StrCat(footprint <= cache ? "fits" : "does not fit", " the last-level cache of ",
                      FormatBytes(cache));
}

}  // namespace

std::string BenchTable(const BenchReport& report) {
  std::string out;
  absl::StrAppend(&out, "machine    ", report.machine, "\n");
  absl::StrAppend(&out, "model      ", report.model, ", ", FormatBytes(report.model_bytes), ", ",
                  FormatBytes(report.bytes_per_token), " read per token\n");
  absl::StrAppend(&out, "backend    ", report.backend, report.pinned ? ", pinned threads" : "",
                  "\n");
  absl::StrAppend(&out, "footprint  ", FormatBytes(report.footprint),
                  " to decode: ", CacheSentence(report.footprint, report.cache_bytes), "\n");
  if (const std::string pages = PagesText(report.pages); !pages.empty())
    absl::StrAppend(&out, "pages      ", pages, "\n");
  absl::StrAppendFormat(&out, "\n%7s %7s %5s %13s %12s %11s %12s %10s %9s %8s %12s %9s\n",
                        "threads", "prompt", "new", "prefill tok/s", "decode tok/s", "decode GB/s",
                        "machine GB/s", "of machine", "read GB/s", "of read", "1st token ms",
                        "load ms");
  for (const BenchRun& r : report.runs) {
    absl::StrAppendFormat(
        &out, "%7d %7d %5d %13.1f %12.1f %11.2f %12.2f %9.1f%% %9.2f %7.1f%% %12.2f %9.2f\n",
        r.threads, r.prompt_tokens, r.generated_tokens, r.prefill_tok_s, r.decode_tok_s,
        r.decode_gb_s, r.machine_gb_s, r.percent_of_machine, r.read_gb_s, r.percent_of_read,
        r.ttft_ms, r.load_ms);
  }
  absl::StrAppendFormat(&out, "\n%7s %7s %9s %9s %9s %9s %8s %10s %10s %15s\n", "threads", "prompt",
                        "p50 ms", "p90 ms", "p99 ms", "max ms", "p99/p50", "idle loop", "read loop",
                        "peak memory MB");
  for (const BenchRun& r : report.runs) {
    absl::StrAppendFormat(&out, "%7d %7d %9.3f %9.3f %9.3f %9.3f %8.2f %10.2f %10.2f %15.1f\n",
                          r.threads, r.prompt_tokens, r.p50_ms, r.p90_ms, r.p99_ms, r.max_ms,
                          r.jitter(), r.idle_jitter, r.read_jitter, r.peak_rss_mb);
  }
  return out;
}

std::string BenchJson(const BenchReport& report) {
  using Json = nlohmann::ordered_json;
  Json runs = Json::array();
  for (const BenchRun& r : report.runs) {
    runs.push_back({{"threads", r.threads},
                    {"prompt_tokens", r.prompt_tokens},
                    {"generated_tokens", r.generated_tokens},
                    {"prefill_tok_s", r.prefill_tok_s},
                    {"decode_tok_s", r.decode_tok_s},
                    {"p50_ms", r.p50_ms},
                    {"p90_ms", r.p90_ms},
                    {"p99_ms", r.p99_ms},
                    {"max_ms", r.max_ms},
                    {"ttft_ms", r.ttft_ms},
                    {"load_ms", r.load_ms},
                    {"machine_gb_s", r.machine_gb_s},
                    {"read_gb_s", r.read_gb_s},
                    {"decode_gb_s", r.decode_gb_s},
                    {"percent_of_machine", r.percent_of_machine},
                    {"percent_of_read", r.percent_of_read},
                    {"peak_rss_mb", r.peak_rss_mb}});
  }
  const Json json = {{"machine", report.machine},
                     {"model", report.model},
                     {"backend", report.backend},
                     {"version", report.version},
                     {"mapped_bytes", report.pages.bytes},
                     {"mapped_by_2mb", report.pages.large},
                     {"runs", runs}};
  // A file's name may be any bytes, JSON is UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tvl
