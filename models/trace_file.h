// A trace as a file for chrome://tracing, Perfetto and speedscope.
#ifndef TVL_MODELS_TRACE_FILE_H_
#define TVL_MODELS_TRACE_FILE_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/trace.h"

namespace tvl {

// Writes Chrome trace events, JSON: of each thread its operations in the order of their begins,
// with the token's position and the layer, in microseconds from the trace's start; and how many
// events the rings have dropped, as otherData.dropped_events. Calls append(text) for one part after
// another. The pool must be at rest. Errors of `append`.
absl::Status WriteTrace(const Trace& trace,
                        const std::function<absl::Status(std::string_view)>& append);
// The same to the file `path`, which appears whole or not at all. Errors as AtomicFile.
absl::Status WriteTrace(const Trace& trace, const std::string& path);

}  // namespace tvl

#endif  // TVL_MODELS_TRACE_FILE_H_
