// Whole characters out of bytes that come in pieces.
#ifndef TVL_TOOLS_CHAT_UTF8_STREAM_H_
#define TVL_TOOLS_CHAT_UTF8_STREAM_H_

#include <array>
#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace tvl {

// Hands on the bytes of a text so that what comes out is UTF-8 and no character comes in two parts.
// Bytes that cannot be, or are not, of a character become U+FFFD, one for each maximal subpart as
// Unicode recommends (section 3.9). Allocates nothing.
class Utf8Stream {
 public:
  // Calls emit(std::string_view) -> absl::Status with what is whole, and keeps up to three bytes of
  // what may become so. The first error ends it and is returned.
  template <typename Emit>
  absl::Status Push(std::string_view bytes, Emit&& emit) {
    while (!bytes.empty()) {
      std::string_view out = kReplacement;
      if (held_bytes_ > 0 && !Continues(bytes.front())) {
        held_bytes_ = 0;
      } else if (const size_t whole = held_bytes_ > 0 ? 0 : WholePrefix(bytes); whole > 0) {
        out = bytes.substr(0, whole);
        bytes.remove_prefix(whole);
      } else {
        if (Hold(bytes.front())) out = Whole();
        bytes.remove_prefix(1);
      }
      if (absl::Status s = out.empty() ? absl::OkStatus() : emit(out); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  // The text is over: what was kept will not become whole.
  template <typename Emit>
  absl::Status Finish(Emit&& emit) {
    if (held_bytes_ == 0) return absl::OkStatus();
    held_bytes_ = 0;
    return emit(kReplacement);
  }

 private:
  static constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

  // Of the whole characters that `bytes` begin with.
  static size_t WholePrefix(std::string_view bytes);
  // Whether `byte` can come after what is kept.
  bool Continues(char byte) const;
  // Keeps the byte; false if no character begins with it.
  bool Hold(char byte);
  // The character that is kept, which is then forgotten, or nothing if bytes of it are to come.
  std::string_view Whole();

  std::array<char, 4> held_ = {};
  size_t held_bytes_ = 0;
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_UTF8_STREAM_H_
