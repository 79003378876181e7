// tvl bench --startup: from nothing to the first token, with the file in memory and without.
#ifndef TVL_TOOLS_BENCH_STARTUP_H_
#define TVL_TOOLS_BENCH_STARTUP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "models/engine.h"

namespace tvl {

struct StartupOptions {
  std::string model;     // a file
  uint64_t prompt = 16;  // tokens
  uint64_t rounds = 3;
  EngineOptions engine;
  SessionOptions session;
};

// Measures and prints.
absl::Status RunStartup(const StartupOptions& options);

}  // namespace tvl

#endif  // TVL_TOOLS_BENCH_STARTUP_H_
