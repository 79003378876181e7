#include "tools/units.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tvl {
namespace {

std::string ThreeDigits(double value, const char* unit) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, value, unit);
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, bytes == 1 ? " byte" : " bytes");
  double value = static_cast<double>(bytes) / 1000;
  for (const char* unit : {"kB", "MB", "GB"}) {
    if (value < 999.5) return ThreeDigits(value, unit);
    value /= 1000;
  }
  return ThreeDigits(value, "TB");
}

std::string FormatSeconds(double seconds) {
  if (seconds < 0.9995e-3) return ThreeDigits(seconds * 1e6, "us");
  if (seconds < 0.9995) return ThreeDigits(seconds * 1e3, "ms");
  return ThreeDigits(seconds, "s");
}

std::string FormatCount(uint64_t count) {
  std::string digits = absl::StrCat(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string FormatTokens(uint64_t count) {
  return absl::StrCat(count, count == 1 ? " token" : " tokens");
}

}  // namespace tvl
