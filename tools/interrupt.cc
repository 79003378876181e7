#include "tools/interrupt.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>

#include "models/atomic_file.h"

namespace tvl {
namespace {

volatile sig_atomic_t g_guarded = 0;
volatile sig_atomic_t g_ctrl_c_ends = 1;  // when it comes again
std::atomic<int> g_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

std::atomic<void (*)()> g_clean = nullptr;
static_assert(std::atomic<void (*)()>::is_always_lock_free);

struct termios g_terminal;
volatile sig_atomic_t g_terminal_kept = 0;

void OnInterrupt(int signal) {
  const int noted = g_signal;
  const bool after_ctrl_c = noted == SIGINT && g_ctrl_c_ends == 0;
  if (g_guarded != 0 && (noted == 0 || after_ctrl_c)) {
    g_signal = signal;
    return;
  }
  if (g_guarded != 0 && signal == SIGINT && g_ctrl_c_ends == 0) return;
  RemoveUnfinishedFiles();
  RestoreTerminal();
  if (void (*const clean)() = g_clean; clean != nullptr) clean();
  _exit(128 + signal);
}

void Handle(int signal) {
  struct sigaction action = {};
  if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void HandleInterrupts() {
  Handle(SIGINT);
  Handle(SIGTERM);
  Handle(SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

void CleanUpWhenInterrupted(void (*clean)()) { g_clean = clean; }

InterruptGuard::InterruptGuard(CtrlC ctrl_c) {
  g_ctrl_c_ends = ctrl_c == CtrlC::kEndsWhenRepeated;
  g_guarded = 1;
}
InterruptGuard::~InterruptGuard() { g_guarded = 0; }

bool InterruptGuard::interrupted() { return g_signal != 0; }

absl::Status InterruptGuard::status() {
  return interrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

bool InterruptGuard::ForgetCtrlC() {
  int noted = SIGINT;
  return g_signal.compare_exchange_strong(noted, 0);
}

void KeepTerminal() {
  if (tcgetattr(STDIN_FILENO, &g_terminal) == 0) g_terminal_kept = 1;
}

void RestoreTerminal() {
  if (g_terminal_kept == 0) return;
  signal(SIGTTOU, SIG_IGN);  // which would stop a program in the background here
  tcsetattr(STDIN_FILENO, TCSANOW, &g_terminal);
  if (write(STDOUT_FILENO, kLeavePastes.data(), kLeavePastes.size()) < 0) return;
}

absl::Status InterruptedBy(int signal) {
  g_signal = signal;
  return absl::CancelledError("interrupted");
}

int InterruptExitCode() { return 128 + g_signal; }

}  // namespace tvl
