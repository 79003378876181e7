// Text that does nothing to a terminal but appear.
#ifndef TVL_TOOLS_CHAT_VISIBLE_TEXT_H_
#define TVL_TOOLS_CHAT_VISIBLE_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "tools/chat/utf8_stream.h"

namespace tvl {

// Bytes of the control character that UTF-8 text begins with; 0: it begins with none, or with a
// newline or a tab.
inline size_t ControlBytes(std::string_view text) {
  const uint8_t first = static_cast<uint8_t>(text.front());
  if (first < 0x20) return first == '\n' || first == '\t' ? 0 : 1;
  if (first == 0x7F) return 1;
  const bool c1 = first == 0xC2 && text.size() > 1 && static_cast<uint8_t>(text[1]) < 0xA0;
  return c1 ? 2 : 0;
}

// Hands UTF-8 text, of which no character comes in two parts, to emit(std::string_view) ->
// absl::Status, with U+FFFD in the place of control characters. Allocates nothing.
template <typename Emit>
absl::Status EmitVisible(std::string_view text, Emit&& emit) {
  while (!text.empty()) {
    size_t bytes = 0;
    while (bytes < text.size() && ControlBytes(text.substr(bytes)) == 0) ++bytes;
    const bool control = bytes == 0;
    if (control) bytes = ControlBytes(text);
    if (absl::Status s = emit(control ? "\xEF\xBF\xBD" : text.substr(0, bytes)); !s.ok()) return s;
    text.remove_prefix(bytes);
  }
  return absl::OkStatus();
}

// What a model writes, on its way to people or to programs: a terminal gets whole characters, of
// which none does anything but appear, everything else gets the bytes. Allocates nothing.
class ShownText {
 public:
  explicit ShownText(bool terminal) : terminal_(terminal) {}

  // Hands on bytes, which may end within a character, to emit(std::string_view) -> absl::Status.
  template <typename Emit>
  absl::Status Push(std::string_view bytes, Emit&& emit) {
    if (!terminal_) return emit(bytes);
    return characters_.Push(bytes, [&](std::string_view text) { return EmitVisible(text, emit); });
  }
  // The text is over.
  template <typename Emit>
  absl::Status Finish(Emit&& emit) {
    return characters_.Finish(emit);
  }

 private:
  const bool terminal_;
  Utf8Stream characters_;
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_VISIBLE_TEXT_H_
