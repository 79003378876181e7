// A program that was compiled for features that this CPU lacks would end by SIGILL, which tells
// nobody anything. This runs before every other initialiser of the program and says it in a
// sentence.
#include <unistd.h>

#include <cstddef>

#include "core/cpu_features.h"

namespace tvl {
namespace {

// No library: strlen itself may be compiled for what is missing.
void Say(const char* text) {
  size_t length = 0;
  while (text[length] != 0) ++length;
  if (write(STDERR_FILENO, text, length) < 0) return;
}

// 101 is the first priority that programs may use.
[[gnu::constructor(101)]] void CheckCpuFeatures() {
  constexpr size_t kMax = 32;
  const char* missing[kMax];
  size_t count = MissingCpuFeatures(missing, kMax);
  if (count == 0) return;
  if (count > kMax) count = kMax;
  Say("tvl: this program was built for a CPU with ");
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) Say(i + 1 == count ? " and " : ", ");
    Say(missing[i]);
  }
  Say(", which this machine lacks; build it with this machine's --config, or here with "
      "--config=native\n");
  _exit(1);
}

}  // namespace
}  // namespace tvl
