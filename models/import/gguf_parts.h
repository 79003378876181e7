// A GGUF model on disk: one file, or several that were split from it.
#ifndef TVL_MODELS_IMPORT_GGUF_PARTS_H_
#define TVL_MODELS_IMPORT_GGUF_PARTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "models/import/gguf_file.h"

namespace tvl {

// The mapped files, and all that they hold as if they were one. Movable: the contents point into
// the mappings.
struct GgufParts {
  std::vector<std::string> paths;
  std::vector<MappedFile> files;
  GgufFile contents;  // the metadata is the first part's
};

// The paths of the parts of a model, the first of which is given: X-00001-of-0000N.gguf may have N
// by its name, and those before the first that is missing count.
std::vector<std::string> GgufPartPaths(const std::string& path);

// `first` is the mapping of the file at `path`. Where its metadata says that it is the first of
// several, X-00001-of-0000N.gguf, the others are opened beside it. Errors name the file: those of
// MappedFile::Open and ParseGguf, parts that do not belong together, and a part that is not the
// first.
absl::StatusOr<GgufParts> OpenGgufParts(const std::string& path, MappedFile first);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_PARTS_H_
