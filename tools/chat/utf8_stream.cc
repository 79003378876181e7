#include "tools/chat/utf8_stream.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "models/tokenizer/utf8.h"

namespace tvl {

size_t Utf8Stream::WholePrefix(std::string_view bytes) {
  size_t whole = 0;
  while (const size_t next = Utf8CharacterBytes(bytes.substr(whole))) whole += next;
  return whole;
}

bool Utf8Stream::Continues(char byte) const {
  return Utf8MayFollow({held_.data(), held_bytes_}, static_cast<uint8_t>(byte));
}

bool Utf8Stream::Hold(char byte) {
  if (held_bytes_ == 0 && Utf8BytesFrom(static_cast<uint8_t>(byte)) == 0) return false;
  held_[held_bytes_++] = byte;
  return true;
}

std::string_view Utf8Stream::Whole() {
  const size_t size = Utf8BytesFrom(static_cast<uint8_t>(held_[0]));
  if (held_bytes_ < size) return {};
  held_bytes_ = 0;
  return {held_.data(), size};
}

}  // namespace tvl
