// Whether other programs are at work on this machine: a loop that only looks at the clock is not
// disturbed by anything else.
#ifndef TVL_TOOLS_IDLE_LOOP_H_
#define TVL_TOOLS_IDLE_LOOP_H_

#include <cstddef>
#include <vector>

namespace tvl {

// What one such loop has seen.
class IdleWatch {
 public:
  // To be called again and again with the time in seconds. Between two looks pass nanoseconds; an
  // interrupt takes microseconds, another program's turn milliseconds.
  void Look(double now) {
    if (looks_++ == 0) first_ = last_ = now;
    if (now - last_ > kLeastGap) lost_ += now - last_;
    last_ = now;
  }
  // The share of the time in which it did not run: 0 to 1.
  double lost_share() const { return last_ > first_ ? lost_ / (last_ - first_) : 0; }

 private:
  static constexpr double kLeastGap = 50e-6;
  size_t looks_ = 0;
  double first_ = 0;
  double last_ = 0;
  double lost_ = 0;
};

// Runs such a loop on `threads` threads at once for `seconds`, so that every core has one: the
// share that the most disturbed of them lost.
double MeasureLostShare(size_t threads, double seconds);

// Of a tuning's rounds the median share must not be above this for the result to mean anything. A
// program that keeps one of two cores busy takes a third to a half of the time of the loop beside
// it; what a virtual machine loses to its host alone was up to 9%.
inline constexpr double kMostLost = 0.2;
bool TooBusy(const std::vector<double>& lost_shares);

}  // namespace tvl

#endif  // TVL_TOOLS_IDLE_LOOP_H_
