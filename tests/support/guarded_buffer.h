// Memory whose surroundings are poisoned: reading beyond it poisons the result, writing beyond it
// is found.
#ifndef TVL_TESTS_SUPPORT_GUARDED_BUFFER_H_
#define TVL_TESTS_SUPPORT_GUARDED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "core/aligned_buffer.h"
#include "core/tile.h"

namespace tvl::testing {

// A NaN as one f32 and as two f16 or bf16.
inline constexpr uint32_t kPoison = 0x7fff7fff;

inline void Poison(void* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    static_cast<unsigned char*>(data)[i] = static_cast<unsigned char>(kPoison >> (i % 4 * 8));
  }
}

inline bool IsPoison(const void* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (static_cast<const unsigned char*>(data)[i] !=
        static_cast<unsigned char>(kPoison >> (i % 4 * 8)))
      return false;
  }
  return true;
}

// `size` zeroed elements between two guards of 4 cache lines. The data begins `offset` elements
// after a 64-byte boundary.
template <typename T>
requires std::is_trivially_copyable_v<T>
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t size, size_t offset = 0)
      : storage_(2 * kGuard + (offset + size) * sizeof(T)),
        begin_(kGuard + offset * sizeof(T)),
        size_(size) {
    Poison(storage_.data(), begin_);
    Poison(storage_.data() + End(), storage_.size() - End());
  }

  T* data() { return reinterpret_cast<T*>(storage_.data() + begin_); }
  const T* data() const { return reinterpret_cast<const T*>(storage_.data() + begin_); }
  size_t size() const { return size_; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }

  // Poisons the elements too: what is still poison afterwards was not written.
  void PoisonData() { Poison(data(), size_ * sizeof(T)); }

  bool GuardsIntact() const {
    return IsPoison(storage_.data(), begin_) &&
           IsPoison(storage_.data() + End(), storage_.size() - End());
  }

 private:
  static constexpr size_t kGuard = 4 * kLineBytes;

  size_t End() const { return begin_ + size_ * sizeof(T); }

  AlignedBuffer<std::byte> storage_;
  size_t begin_;
  size_t size_;
};

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_GUARDED_BUFFER_H_
