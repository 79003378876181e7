// What has been said in a chat, and the file that keeps it.
#ifndef TVL_TOOLS_CHAT_CONVERSATION_H_
#define TVL_TOOLS_CHAT_CONVERSATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/chat/chat_template.h"

namespace tvl {

struct Conversation {
  std::string system = {};  // may be empty
  std::vector<Exchange> exchanges = {};
  size_t unread = 0;   // the oldest exchanges, which the context has no room for any more
  uint64_t steps = 0;  // tokens drawn so far, which key the sampler's random numbers

  std::span<const Exchange> read() const { return std::span(exchanges).subspan(unread); }
};

// A conversation with what it was had with.
struct SavedConversation {
  Conversation conversation;
  // None where the file does not say.
  std::optional<ChatTemplate> chat_template;
  std::optional<uint64_t> model;  // TvlReader::identity()
};

// Writes a JSON object, atomically: "version", "model" and "template", and "messages" as they are
// everywhere, [{"role": "user", "content": "..."}, ...]. Bytes that are no UTF-8 become U+FFFD.
absl::Status SaveConversation(const std::string& path, const Conversation& conversation,
                              ChatTemplate family, uint64_t model);

// Reads such a file, of which only "messages" has to be there: perhaps one of the system, then
// those of the user and the assistant by turns, at least one of each. Errors are one sentence with
// the file, the field, what was expected and what was found. Allocates no more than a few times the
// file's size.
absl::StatusOr<SavedConversation> LoadConversation(const std::string& path);

// The same for what is in such a file; errors do not name it.
absl::StatusOr<SavedConversation> ParseConversation(std::string_view json);

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_CONVERSATION_H_
