// The file that is named where a model, or its tokenizer, is expected.
#ifndef TVL_TOOLS_MODEL_INPUT_H_
#define TVL_TOOLS_MODEL_INPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mapped_file.h"

namespace tvl {

// Maps it. Errors as MappedFile::Open, and what to do where it is a folder (of Hugging Face, say),
// a pipe or an empty file.
absl::StatusOr<MappedFile> OpenModelInput(const std::string& path);

// `status`, an error about what the file holds. Where the file's name is one that downloads have
// before they are finished, it says so, too.
absl::Status WithDownloadHint(const std::string& path, const absl::Status& status);

}  // namespace tvl

#endif  // TVL_TOOLS_MODEL_INPUT_H_
