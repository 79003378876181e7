#include "tools/mapping_fault.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "core/mapped_file.h"
#include "models/atomic_file.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace tvl {
namespace {

// Several threads may come upon the missing pages; one speaks.
std::atomic_flag g_speaking = ATOMIC_FLAG_INIT;

// One write, so that the sentence stays in one piece.
void Say(const char* file) {
  static char text[8192];
  size_t length = 0;
  for (const char* part :
       {"tvl: ", file, ": the file was truncated while in use, or cannot be read\n"}) {
    const size_t bytes = std::min(std::strlen(part), sizeof(text) / 2 - 1);
    std::memcpy(text + length, part, bytes);
    length += bytes;
  }
  if (write(STDERR_FILENO, text, length) < 0) return;
}

void OnBusError(int signal, siginfo_t* info, void*) {
  // si_addr means something only in a signal that the system raised itself.
  const char* file = info->si_code > 0 ? MappedFileAt(info->si_addr) : nullptr;
  if (file == nullptr) {
    // Once this returns: the signal is blocked until then.
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    raise(signal);
    return;
  }
  while (g_speaking.test_and_set()) pause();
  RemoveUnfinishedFiles();
  RestoreTerminal();
  WipeProgress();
  EndPrintedLine();
  Say(file);
  _exit(1);
}

}  // namespace

void HandleMappingFaults() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace tvl
