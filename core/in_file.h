// Errors that say which file they are about.
#ifndef TVL_CORE_IN_FILE_H_
#define TVL_CORE_IN_FILE_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tvl {

// `status` with "file: " before its message; OK stays OK.
inline absl::Status InFile(absl::string_view file, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(file, ": ", status.message()));
}

}  // namespace tvl

#endif  // TVL_CORE_IN_FILE_H_
