// Files that a chat may replace.
#ifndef TVL_TOOLS_CHAT_SAVED_FILES_H_
#define TVL_TOOLS_CHAT_SAVED_FILES_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tvl {

// Knows the files that this chat has saved or loaded, as they were then. /save replaces nothing
// that somebody else wrote, before or since.
class SavedFiles {
 public:
  // Whether a conversation may be saved to `path`: OK if there is no file, an empty one, or one
  // that this chat knows. AlreadyExists, saying what is there and what to do.
  absl::Status MayReplace(const std::string& path) const;
  // Remembers the file of this name as it is.
  void Remember(const std::string& path);

 private:
  struct State {
    uint64_t device, file, bytes;
    std::filesystem::file_time_type changed;
    bool operator==(const State&) const = default;
  };
  // Nothing if there is no regular file.
  static std::optional<State> Look(const std::string& path);

  std::vector<State> known_;
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_SAVED_FILES_H_
