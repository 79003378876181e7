#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/interrupt.h"
#include "tools/output.h"

namespace tvl {
namespace {

constexpr double kPatience = 0.3;  // seconds before anything is shown
constexpr double kInterval = 0.1;

std::atomic<bool> g_drawn = false;

// Of the terminal now: people change it.
size_t Columns() {
  constexpr size_t kUsual = 80;
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

// Leaves room for the ^C that the terminal shows after it: in the next line nobody would wipe that.
constexpr size_t kReserved = 3;

}  // namespace

std::string ProgressLine(std::string_view verb, double part, size_t columns) {
  constexpr size_t kLongestBar = 32, kShortestBar = 4;
  const size_t room = columns > kReserved ? columns - kReserved : 0;
  const std::string percent = absl::StrFormat("%3d%%", static_cast<int>(part * 100));
  const size_t around = verb.size() + std::string_view(" [] ").size() + percent.size();
  if (room >= around + kShortestBar) {
    const size_t width = std::min(kLongestBar, room - around);
    std::string bar(static_cast<size_t>(part * static_cast<double>(width)), '=');
    bar.resize(width, ' ');
    return absl::StrCat(std::string(verb), " [", bar, "] ", percent);
  }
  std::string words = absl::StrCat(std::string(verb), " ", percent);
  if (words.size() <= room) return words;
  return percent.size() <= room ? percent : "";
}

Progress::Progress(std::string verb)
    : verb_(std::move(verb)), terminal_(isatty(STDERR_FILENO) == 1), next_draw_(kPatience) {
  CleanUpWhenInterrupted(WipeProgress);
}

Progress::~Progress() { WipeProgress(); }

void Progress::Update(uint64_t done, uint64_t total) {
  if (!terminal_ || total == 0) return;
  const double now = since_start_.seconds();
  if (now < next_draw_) return;
  next_draw_ = now + kInterval;
  g_drawn = true;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  PrintNote(absl::StrCat("\r", ProgressLine(verb_, part, Columns()), "\x1b[K"));
}

void WipeProgress() {
  constexpr char kWipe[] = "\r\x1b[K";
  if (g_drawn.exchange(false) && write(STDERR_FILENO, kWipe, sizeof(kWipe) - 1) < 0) return;
}

}  // namespace tvl
