// A trace as a file for chrome://tracing, Perfetto and speedscope.
#ifndef TVL_MODELS_TRACE_FILE_H_
#define TVL_MODELS_TRACE_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "core/trace.h"
#include "models/atomic_file.h"

namespace tvl {

// Writes Chrome trace events, JSON: of each thread its operations in the order of their begins,
// with the token's position and the layer, in microseconds from the trace's start; and how many
// events the rings have dropped, as otherData.dropped_events. Then commits. The pool must be at
// rest. Errors as AtomicFile.
absl::Status WriteTrace(const Trace& trace, AtomicFile* file);
// The same to the file `path`.
absl::Status WriteTrace(const Trace& trace, const std::string& path);

}  // namespace tvl

#endif  // TVL_MODELS_TRACE_FILE_H_
