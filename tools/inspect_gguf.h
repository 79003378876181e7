// What tvl inspect says of a GGUF file: what its own directory holds, and what tvl can do with it.
#ifndef TVL_TOOLS_INSPECT_GGUF_H_
#define TVL_TOOLS_INSPECT_GGUF_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "nlohmann/json.hpp"

namespace tvl {

// NOLINTNEXTLINE(bugprone-exception-escape): of JSON's move constructor, which throws nothing
struct GgufInspection {
  std::string text;
  nlohmann::ordered_json json;
};

// `file` is the mapping of the file at `path`, which IsGguf; of several parts the first, beside
// which the others are looked for. Converts nothing. The model may be one that tvl cannot run, or a
// vocabulary alone: that is in what is said. Errors are those of a directory that cannot be read,
// and name the file.
absl::StatusOr<GgufInspection> InspectGguf(const std::string& path, const MappedFile& file);

}  // namespace tvl

#endif  // TVL_TOOLS_INSPECT_GGUF_H_
