// What tvl bench says: a table for people, JSON for programs.
#ifndef TVL_TOOLS_BENCH_REPORT_H_
#define TVL_TOOLS_BENCH_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/benchmark.h"
#include "tools/mapped_pages.h"

namespace tvl {

struct BenchReport {
  std::string machine;
  std::string model;
  std::string backend;
  std::string version;
  std::vector<BenchRun> runs;

  // For the table only.
  uint64_t model_bytes = 0;
  uint64_t bytes_per_token = 0;
  uint64_t footprint = 0;    // what decoding touches: those bytes and the KV cache
  uint64_t cache_bytes = 0;  // of the last-level cache; 0: unknown
  bool pinned = false;
  MappedPages pages;  // once the weights were read
};

std::string BenchTable(const BenchReport& report);
std::string BenchJson(const BenchReport& report);

}  // namespace tvl

#endif  // TVL_TOOLS_BENCH_REPORT_H_
