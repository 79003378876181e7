#ifndef TVL_TOOLS_PROGRESS_H_
#define TVL_TOOLS_PROGRESS_H_

#include <cstdint>
#include <string>

#include "tools/units.h"

namespace tvl {

// A line on standard error that shows how far long work is, when standard error is a terminal;
// silent in a pipe or a file, and for work that is done in less than a moment. Wiped by the
// destructor. One at a time.
class Progress {
 public:
  // `verb` says what goes on: "converting".
  explicit Progress(std::string verb);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Call as often as convenient; drawn ten times a second.
  void Update(uint64_t done, uint64_t total);

 private:
  std::string verb_;
  bool terminal_;
  Stopwatch since_start_;
  double next_draw_;  // seconds since the start
};

// Wipes the line of any Progress. Safe in a signal handler.
void WipeProgress();

}  // namespace tvl

#endif  // TVL_TOOLS_PROGRESS_H_
