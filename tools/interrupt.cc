#include "tools/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "models/atomic_file.h"

namespace tvl {
namespace {

volatile sig_atomic_t g_guarded = 0;
volatile sig_atomic_t g_signal = 0;

void OnInterrupt(int signal) {
  if (g_guarded == 0 || g_signal != 0) {
    RemoveUnfinishedFiles();
    _exit(128 + signal);
  }
  g_signal = signal;
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
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

InterruptGuard::InterruptGuard() { g_guarded = 1; }
InterruptGuard::~InterruptGuard() { g_guarded = 0; }

bool InterruptGuard::interrupted() { return g_signal != 0; }

absl::Status InterruptGuard::status() {
  return interrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

bool InterruptGuard::ForgetCtrlC() {
  if (g_signal != SIGINT) return false;
  g_signal = 0;
  return true;
}

absl::Status InterruptedBy(int signal) {
  g_signal = signal;
  return absl::CancelledError("interrupted");
}

int InterruptExitCode() { return 128 + g_signal; }

}  // namespace tvl
