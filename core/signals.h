// Signals that a thread is not to take for a while.
#ifndef TVL_CORE_SIGNALS_H_
#define TVL_CORE_SIGNALS_H_

#include <csignal>

namespace tvl {

// Those that ask a program to end. Threads keep the mask that they were started with: started with
// these blocked, they leave them to the program's own threads, on which handlers then run.
inline sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

inline sigset_t AllSignals() {
  sigset_t signals;
  sigfillset(&signals);
  return signals;
}

// While one exists, no handler of these signals runs in this thread; the system hands them to a
// thread that takes them, or keeps them.
class SignalsBlocked {
 public:
  explicit SignalsBlocked(const sigset_t& signals) {
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace tvl

#endif  // TVL_CORE_SIGNALS_H_
