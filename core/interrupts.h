// Signals that ask a program to end, and threads that are not to take them.
#ifndef TVL_CORE_INTERRUPTS_H_
#define TVL_CORE_INTERRUPTS_H_

#include <csignal>

namespace tvl {

// While it lives, this thread and those that it starts take no SIGINT, SIGTERM or SIGHUP: the
// system hands them to a thread that does. Threads keep what they were started with, so that
// handlers run on the program's own threads only.
class InterruptsBlocked {
 public:
  InterruptsBlocked() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, &saved_);
  }
  ~InterruptsBlocked() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
  InterruptsBlocked(const InterruptsBlocked&) = delete;
  InterruptsBlocked& operator=(const InterruptsBlocked&) = delete;

 private:
  sigset_t saved_;
};

}  // namespace tvl

#endif  // TVL_CORE_INTERRUPTS_H_
