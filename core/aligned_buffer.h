// Owning, zeroed, 64-byte aligned memory.
#ifndef TVL_CORE_ALIGNED_BUFFER_H_
#define TVL_CORE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

namespace tvl {

// A fixed-size array of trivially copyable T, zeroed, on a cache line. Move-only: one owner per
// buffer.
template <typename T>
requires std::is_trivially_copyable_v<T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size)
      : data_(static_cast<T*>(::operator new[](size * sizeof(T), kAlignment))), size_(size) {
    // An empty buffer has no bytes to clear, and memset of null is undefined.
    if (size > 0) std::memset(data_.get(), 0, size * sizeof(T));
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  std::span<T> span() { return {data_.get(), size_}; }
  std::span<const T> span() const { return {data_.get(), size_}; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete[](p, kAlignment); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace tvl

#endif  // TVL_CORE_ALIGNED_BUFFER_H_
