// Linux on x86-64 and aarch64.
#include <sys/auxv.h>

#include <cstddef>

#include "core/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#endif

namespace tvl {
namespace {

// CpuHas_NAME() for every feature that required_features.h may name.
#if defined(__x86_64__)

enum Register { kEbx, kEcx };
constexpr unsigned kExtended = 0x80000001u;

bool CpuidBit(unsigned leaf, Register reg, int bit) {
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return ((reg == kEbx ? ebx : ecx) >> bit) & 1;
}

// Registers that the operating system saves: without its help wide vectors are no use.
bool OsSaves(unsigned mask) {
  constexpr int kOsXsave = 27;
  if (!CpuidBit(1, kEcx, kOsXsave)) return false;
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & mask) == mask;
}

constexpr unsigned kYmm = 0x06;
constexpr unsigned kZmm = 0xe6;

[[maybe_unused]] bool CpuHas_sse4_2() { return CpuidBit(1, kEcx, 20); }
[[maybe_unused]] bool CpuHas_avx() { return CpuidBit(1, kEcx, 28) && OsSaves(kYmm); }
[[maybe_unused]] bool CpuHas_fma() { return CpuidBit(1, kEcx, 12); }
[[maybe_unused]] bool CpuHas_f16c() { return CpuidBit(1, kEcx, 29); }
[[maybe_unused]] bool CpuHas_aes() { return CpuidBit(1, kEcx, 25); }
[[maybe_unused]] bool CpuHas_pclmulqdq() { return CpuidBit(1, kEcx, 1); }
[[maybe_unused]] bool CpuHas_avx2() { return CpuidBit(7, kEbx, 5); }
[[maybe_unused]] bool CpuHas_bmi2() { return CpuidBit(7, kEbx, 8); }
[[maybe_unused]] bool CpuHas_avx512f() { return CpuidBit(7, kEbx, 16) && OsSaves(kZmm); }
[[maybe_unused]] bool CpuHas_avx512dq() { return CpuidBit(7, kEbx, 17); }
[[maybe_unused]] bool CpuHas_avx512bw() { return CpuidBit(7, kEbx, 30); }
[[maybe_unused]] bool CpuHas_avx512vl() { return CpuidBit(7, kEbx, 31); }
[[maybe_unused]] bool CpuHas_avx512vbmi() { return CpuidBit(7, kEcx, 1); }
[[maybe_unused]] bool CpuHas_avx512_vnni() { return CpuidBit(7, kEcx, 11); }
[[maybe_unused]] bool CpuHas_avx512_vbmi2() { return CpuidBit(7, kEcx, 6); }
[[maybe_unused]] bool CpuHas_avx512_bitalg() { return CpuidBit(7, kEcx, 12); }
[[maybe_unused]] bool CpuHas_avx512_vpopcntdq() { return CpuidBit(7, kEcx, 14); }
[[maybe_unused]] bool CpuHas_vaes() { return CpuidBit(7, kEcx, 9); }
[[maybe_unused]] bool CpuHas_bmi1() { return CpuidBit(7, kEbx, 3); }
[[maybe_unused]] bool CpuHas_movbe() { return CpuidBit(1, kEcx, 22); }
[[maybe_unused]] bool CpuHas_abm() { return CpuidBit(kExtended, kEcx, 5); }
[[maybe_unused]] bool CpuHas_gfni() { return CpuidBit(7, kEcx, 8); }

#elif defined(__aarch64__)

[[maybe_unused]] bool Hwcap(uint64_t bit) { return (getauxval(AT_HWCAP) & bit) != 0; }
[[maybe_unused]] bool Hwcap2(uint64_t bit) { return (getauxval(AT_HWCAP2) & bit) != 0; }

[[maybe_unused]] bool CpuHas_atomics() { return Hwcap(HWCAP_ATOMICS); }
[[maybe_unused]] bool CpuHas_crc32() { return Hwcap(HWCAP_CRC32); }
[[maybe_unused]] bool CpuHas_aes() { return Hwcap(HWCAP_AES); }
[[maybe_unused]] bool CpuHas_asimdhp() { return Hwcap(HWCAP_ASIMDHP); }
[[maybe_unused]] bool CpuHas_lrcpc() { return Hwcap(HWCAP_LRCPC); }
[[maybe_unused]] bool CpuHas_asimddp() { return Hwcap(HWCAP_ASIMDDP); }
[[maybe_unused]] bool CpuHas_i8mm() { return Hwcap2(HWCAP2_I8MM); }
[[maybe_unused]] bool CpuHas_bf16() { return Hwcap2(HWCAP2_BF16); }
[[maybe_unused]] bool CpuHas_sve() { return Hwcap(HWCAP_SVE); }

#endif

struct Feature {
  const char* name;
  bool (*present)();
};

constexpr Feature kRequired[] = {
#define TVL_FEATURE(name) {#name, &CpuHas_##name},
#include "core/required_features.h"
#undef TVL_FEATURE
    {nullptr, nullptr},
};

}  // namespace

size_t MissingCpuFeatures(const char** missing, size_t max) {
  size_t count = 0;
  for (const Feature* feature = kRequired; feature->name != nullptr; ++feature) {
    if (feature->present()) continue;
    if (count < max) missing[count] = feature->name;
    ++count;
  }
  return count;
}

const char* CompiledIsa() {
#define TVL_FEATURE(name) #name " "
  return
#include "core/required_features.h"
      "";
#undef TVL_FEATURE
}

}  // namespace tvl
