// Ctrl-C (SIGINT), and SIGTERM and SIGHUP with it.
#ifndef TVL_TOOLS_INTERRUPT_H_
#define TVL_TOOLS_INTERRUPT_H_

#include <string_view>

#include "absl/status/status.h"

namespace tvl {

// From here on an interrupt ends the program with exit code 128 + signal (130 for Ctrl-C), at once:
// nothing is buffered, so nothing is lost. A signal that was being ignored (nohup, background jobs)
// stays ignored. SIGPIPE and SIGXFSZ are ignored, so that a closed pipe and a file that reaches its
// limit are errors of the call that writes. Call once, before threads are started.
void HandleInterrupts();

// Has an interrupt that ends the program at once call `clean` first, which must be safe in a signal
// handler. The last one counts.
void CleanUpWhenInterrupted(void (*clean)());

// While one exists, an interrupt is only noted, for work that has something to finish or to clean
// up and asks now and then. A second interrupt ends the program all the same, and unfinished files
// with it. One at a time.
class InterruptGuard {
 public:
  enum class CtrlC {
    kEndsWhenRepeated,
    kNeverEnds,  // a program that goes on after Ctrl-C: another is the same one, until it is
                 // forgotten
  };
  explicit InterruptGuard(CtrlC ctrl_c = CtrlC::kEndsWhenRepeated);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool interrupted();
  // Cancelled once interrupted, else OK.
  static absl::Status status();
  // For a program that goes on after Ctrl-C: takes it back, so that the next one is noted as well.
  // False if what was noted is anything else.
  static bool ForgetCtrlC();
};

// Remembers how the terminal on standard input is set now. An interrupt that ends the program at
// once sets it so again.
void KeepTerminal();
// Sets the terminal as it was then, if it was kept. Safe in a signal handler.
void RestoreTerminal();
// Tells a terminal that was asked to mark what is pasted to do so no longer.
inline constexpr std::string_view kLeavePastes = "\x1b[?2004l";

// Notes `signal` as if it had come; Cancelled. For a closed pipe, which ends a program as SIGPIPE
// would, but not in the middle of things.
absl::Status InterruptedBy(int signal);

// 128 + the signal that was noted. REQUIRES: one was.
int InterruptExitCode();

}  // namespace tvl

#endif  // TVL_TOOLS_INTERRUPT_H_
