#include "tools/progress.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_format.h"
#include "tools/output.h"

namespace tvl {
namespace {

constexpr double kPatience = 0.3;  // seconds before anything is shown
constexpr double kInterval = 0.1;

std::atomic<bool> g_drawn = false;

}  // namespace

Progress::Progress(std::string verb)
    : verb_(std::move(verb)), terminal_(isatty(STDERR_FILENO) == 1), next_draw_(kPatience) {}

Progress::~Progress() { WipeProgress(); }

void Progress::Update(uint64_t done, uint64_t total) {
  if (!terminal_ || total == 0) return;
  const double now = since_start_.seconds();
  if (now < next_draw_) return;
  next_draw_ = now + kInterval;
  g_drawn = true;
  constexpr size_t kWidth = 32;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  std::string bar(static_cast<size_t>(part * kWidth), '=');
  bar.resize(kWidth, ' ');
  PrintNote(absl::StrFormat("\r%s [%s] %3d%%\x1b[K", verb_, bar, static_cast<int>(part * 100)));
}

void WipeProgress() {
  constexpr char kWipe[] = "\r\x1b[K";
  if (g_drawn.exchange(false) && write(STDERR_FILENO, kWipe, sizeof(kWipe) - 1) < 0) return;
}

}  // namespace tvl
