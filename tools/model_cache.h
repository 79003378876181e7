// GGUF models as .tvl files in the user's cache folder, converted when they are first used.
//
// An entry is two files. NAME.tvl is the model. NAME.source holds the path of the GGUF file, its
// time is that of the last use, and it is what a process locks that makes or removes the entry.
// NAME is for people to recognise, and ends in a hash, by which it is found, of what makes the
// model what it is: device, inode, size and time of last change of each part, and the versions of
// the .tvl format and of the conversion. So nothing that is written down can get out of step with
// anything: an entry is current if its hash is the one that its source has today.
#ifndef TVL_TOOLS_MODEL_CACHE_H_
#define TVL_TOOLS_MODEL_CACHE_H_

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mapped_file.h"

namespace tvl {

// Open, so that whoever clears the cache takes it from nobody.
struct TvlFile {
  std::string path;
  MappedFile file;
};

// The .tvl file of what the user names: `path` itself, or the cache's file if `path` is a GGUF file
// (of several parts the first). What is not there or does not parse is made, with notes and
// progress on standard error; where another process is at it already, its result is waited for.
// What the source was converted to before it changed is removed then. Errors name `path`. Cancelled
// by an interrupt.
absl::StatusOr<TvlFile> OpenTvlFile(const std::string& path);

enum class SourceState { kUnchanged, kChanged, kGone, kUnknown };

struct CachedModel {
  std::string name;
  uint64_t bytes = 0;
  std::time_t used = 0;  // last, or made
  std::string source;    // an absolute path; empty if it is unknown
  SourceState state = SourceState::kUnchanged;
};

// By name; none if there is no such folder. Errors of the operating system.
absl::StatusOr<std::vector<CachedModel>> ListCachedModels(const std::string& folder);

// Removes the entry; of a link not what it leads to. Unavailable if a process is making it,
// NotFound if it is gone already.
absl::Status RemoveCachedModel(const std::string& folder, const std::string& name);

// Removes what processes that were killed have left of entries.
void RemoveLeftovers(const std::string& folder);

// What CacheFolder is asked for a folder for.
inline constexpr char kCachedModels[] = "converted models";

}  // namespace tvl

#endif  // TVL_TOOLS_MODEL_CACHE_H_
