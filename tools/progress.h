#ifndef TVL_TOOLS_PROGRESS_H_
#define TVL_TOOLS_PROGRESS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tools/units.h"

namespace tvl {

// A line on standard error that shows how far long work is, when standard error is a terminal;
// silent in a pipe or a file, and for work that is done in less than a moment. Never more than one
// line of the terminal, however narrow. Wiped by the destructor, and when Ctrl-C ends the program.
// One at a time.
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

// What is drawn where `part` (0 to 1) is done on a terminal of so many columns: always less than a
// line, also with what the terminal shows for Ctrl-C.
std::string ProgressLine(std::string_view verb, double part, size_t columns);

// Wipes the line of any Progress. Safe in a signal handler.
void WipeProgress();

}  // namespace tvl

#endif  // TVL_TOOLS_PROGRESS_H_
