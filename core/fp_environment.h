// The floating-point environment that the canonical order asks for.
#ifndef TVL_CORE_FP_ENVIRONMENT_H_
#define TVL_CORE_FP_ENVIRONMENT_H_

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace tvl {

// While it lives, this thread rounds to nearest and keeps subnormals, whatever a caller (or a
// library linked with -ffast-math, which sets flush-to-zero for the whole process at load) had
// chosen. Restores the caller's choice.
class CanonicalFpEnvironment {
 public:
  CanonicalFpEnvironment() : saved_(Read()) {
    if ((saved_ & kMask) != 0) Write(saved_ & ~kMask);
  }
  ~CanonicalFpEnvironment() {
    if ((saved_ & kMask) != 0) Write(saved_);
  }
  CanonicalFpEnvironment(const CanonicalFpEnvironment&) = delete;
  CanonicalFpEnvironment& operator=(const CanonicalFpEnvironment&) = delete;

  static bool IsCanonical() { return (Read() & kMask) == 0; }

 private:
#if defined(__x86_64__)
  // MXCSR: rounding mode (bits 13-14), flush to zero (15), denormals are zero (6).
  static constexpr uint64_t kMask = 0x6000 | 0x8000 | 0x0040;
  static uint64_t Read() { return _mm_getcsr(); }
  static void Write(uint64_t value) { _mm_setcsr(static_cast<uint32_t>(value)); }
#elif defined(__aarch64__)
  // FPCR: rounding mode (bits 22-23), FZ (24), FZ16 (19), AHP (26: f16 without infinities), FIZ
  // (0), AH (1), NEP (2). DN (25) only picks which NaN.
  static constexpr uint64_t kMask =
      (uint64_t{3} << 22) | (uint64_t{1} << 24) | (uint64_t{1} << 19) | (uint64_t{1} << 26) | 7;
  static uint64_t Read() {
    uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void Write(uint64_t value) { asm volatile("msr fpcr, %0" ::"r"(value)); }
#else
#error "The canonical order is defined for x86-64 and aarch64."
#endif
  uint64_t saved_;
};

}  // namespace tvl

#endif  // TVL_CORE_FP_ENVIRONMENT_H_
