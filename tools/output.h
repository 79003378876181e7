// Unbuffered output: what is written is with the reader at once, and a failure is noticed where it
// happens.
#ifndef TVL_TOOLS_OUTPUT_H_
#define TVL_TOOLS_OUTPUT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tvl {

// Writes all of `text` to `fd`. The operating system's error (a closed pipe, a full disk), naming
// `what`, the place that it was meant for. Allocates nothing unless it fails.
absl::Status WriteAll(int fd, std::string_view text, const char* what);

// The same, to standard output. Where nobody reads that any more (tvl ... | head), the error is
// Cancelled, as for an interrupt: the program ends without a word, as if by SIGPIPE.
absl::Status Print(std::string_view text);

// Ends the line on standard output if what was printed last did not. Safe in a signal handler.
void EndPrintedLine();

// Whether these are names of one file, links included. For outputs that must not be inputs.
bool SameFile(const std::string& a, const std::string& b);

// To standard error. Failures are ignored: there is no one left to tell.
void PrintNote(std::string_view text);

}  // namespace tvl

#endif  // TVL_TOOLS_OUTPUT_H_
