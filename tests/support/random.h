// Numbers for tests: the same on every machine, from a fixed seed that a failure prints.
#ifndef TVL_TESTS_SUPPORT_RANDOM_H_
#define TVL_TESTS_SUPPORT_RANDOM_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace tvl::testing {

inline constexpr uint64_t kSeed = 20260124;

// SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed = kSeed) : state_(seed) {}

  uint64_t Bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 .. n - 1.
  size_t Below(size_t n) { return static_cast<size_t>(Bits() % n); }
  // [-1, 1), a multiple of 2^-23.
  float Uniform() {
    return static_cast<float>(static_cast<int64_t>(Bits() >> 40) - (1 << 23)) * 0x1p-23f;
  }
  // Mean 0, variance 1, nearly normal: the sum of four uniform numbers.
  float Normal() { return (Uniform() + Uniform() + Uniform() + Uniform()) * 0.8660254f; }

 private:
  uint64_t state_;
};

// What a vector or matrix of a test holds.
enum class Fill {
  kNormal,
  kCancelling,  // huge, tiny and opposite: every change of the order of a sum shows
  kSubnormal,   // shows flushing to zero, in f32 and in f16
  kZeros,       // +0, -0 and a few ones
  kHuge,        // overflows to infinities, and those to NaN
  kSpecial,     // normal, with an infinity or a NaN here and there
};

inline constexpr Fill kFills[] = {Fill::kNormal, Fill::kCancelling, Fill::kSubnormal,
                                  Fill::kZeros,  Fill::kHuge,       Fill::kSpecial};
inline constexpr Fill kFiniteFills[] = {Fill::kNormal, Fill::kCancelling, Fill::kSubnormal,
                                        Fill::kZeros};

inline const char* FillName(Fill fill) {
  switch (fill) {
    case Fill::kNormal:
      return "normal";
    case Fill::kCancelling:
      return "cancelling";
    case Fill::kSubnormal:
      return "subnormal";
    case Fill::kZeros:
      return "zeros";
    case Fill::kHuge:
      return "huge";
    case Fill::kSpecial:
      return "special";
  }
  return "unknown";
}

// 2^exponent, exact.
inline float PowerOfTwo(int exponent) {
  return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
}

inline float Draw(Fill fill, Random& random) {
  const bool negative = random.Below(2) == 1;
  switch (fill) {
    case Fill::kNormal:
      return random.Normal();
    case Fill::kCancelling:
      return random.Normal() * PowerOfTwo(static_cast<int>(random.Below(25)) - 12);
    case Fill::kSubnormal: {
      // A third each: subnormal f32, subnormal f16, about 1.
      const size_t kind = random.Below(3);
      if (kind == 0)
        return std::bit_cast<float>(static_cast<uint32_t>(random.Bits() & 0x807fffffu));
      return kind == 1 ? random.Uniform() * 0x1p-15f : random.Uniform();
    }
    case Fill::kZeros:
      if (random.Below(4) == 0) return negative ? -1.0f : 1.0f;
      return negative ? -0.0f : 0.0f;
    case Fill::kHuge:
      return random.Uniform() *
             (random.Below(2) == 0 ? std::numeric_limits<float>::max() : 60000.0f);
    case Fill::kSpecial:
      if (random.Below(24) != 0) return random.Normal();
      // With any payload: arithmetic on the bits of a NaN must not make a number of it.
      if (random.Below(3) == 0) {
        return std::bit_cast<float>(0x7fc00000u |
                                    static_cast<uint32_t>(random.Bits() & 0x803fffffu));
      }
      return negative ? -std::numeric_limits<float>::infinity()
                      : std::numeric_limits<float>::infinity();
  }
  return 0;
}

inline void FillWith(Fill fill, Random& random, std::span<float> out) {
  for (float& value : out) value = Draw(fill, random);
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_RANDOM_H_
