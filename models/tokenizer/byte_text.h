// Texts of one byte, for tokens that are bytes.
#ifndef TVL_MODELS_TOKENIZER_BYTE_TEXT_H_
#define TVL_MODELS_TOKENIZER_BYTE_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tvl {

inline constexpr size_t kByteCount = 256;

// Points into a static table.
inline std::string_view ByteText(uint8_t byte) {
  static constexpr std::array<char, kByteCount> kBytes = [] {
    std::array<char, kByteCount> bytes = {};
    for (size_t i = 0; i < kByteCount; ++i) bytes[i] = static_cast<char>(i);
    return bytes;
  }();
  return {&kBytes[byte], 1};
}

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_BYTE_TEXT_H_
