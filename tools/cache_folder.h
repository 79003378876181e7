// The user's folder of what tvl can make again.
#ifndef TVL_TOOLS_CACHE_FOLDER_H_
#define TVL_TOOLS_CACHE_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tvl {

// $TVL_CACHE_DIR, or else the folder tvl of $XDG_CACHE_HOME, or else of the system's cache folder
// below $HOME; the last two count only where they are absolute. FailedPrecondition if none names a
// folder "to keep WHAT in".
absl::StatusOr<std::string> CacheFolder(const std::string& what);

// Makes the folder, and those that it lies in, where they are missing, for the user alone.
absl::Status MakeCacheFolder(const std::string& folder);

}  // namespace tvl

#endif  // TVL_TOOLS_CACHE_FOLDER_H_
