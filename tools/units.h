// Numbers for people.
#ifndef TVL_TOOLS_UNITS_H_
#define TVL_TOOLS_UNITS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace tvl {

// "812 bytes", "5.74 MB": three significant digits, decimal units (as bandwidths are given).
std::string FormatBytes(uint64_t bytes);

// "1.23 ms", "4.56 s".
std::string FormatSeconds(double seconds);

// "1,234,567".
std::string FormatCount(uint64_t count);

// "1 token", "2 tokens".
std::string FormatTokens(uint64_t count);

// Time since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace tvl

#endif  // TVL_TOOLS_UNITS_H_
