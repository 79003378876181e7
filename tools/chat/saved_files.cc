#include "tools/chat/saved_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/chat/conversation.h"

namespace tvl {

std::optional<SavedFiles::State> SavedFiles::Look(const std::string& path) {
  struct stat there;
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(path, error);  // to the nanosecond
  if (error || stat(path.c_str(), &there) != 0 || !S_ISREG(there.st_mode)) return std::nullopt;
  return State{there.st_dev, there.st_ino, static_cast<uint64_t>(there.st_size), changed};
}

absl::Status SavedFiles::MayReplace(const std::string& path) const {
  const std::optional<State> state = Look(path);
  if (!state || state->bytes == 0 || std::ranges::count(known_, *state) > 0)
    return absl::OkStatus();
  if (!LoadConversation(path).ok()) {
    return absl::AlreadyExistsError(absl::StrCat(
        path,
        ": expected no file or a saved conversation to replace, found another file; choose another "
        "name, or replace it with /save --force"));
  }
  return absl::AlreadyExistsError(absl::StrCat(
      path,
      ": expected no file or what this chat has saved or loaded, found another conversation; "
      "choose another name, or replace it with /save --force"));
}

void SavedFiles::Remember(const std::string& path) {
  if (const std::optional<State> state = Look(path)) known_.push_back(*state);
}

}  // namespace tvl
