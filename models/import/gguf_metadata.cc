#include "models/import/gguf_metadata.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/quoted.h"

namespace tvl {
namespace {

static_assert(std::endian::native == std::endian::little);

using enum GgufValueType;

template <typename T>
T Load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

absl::Status Unexpected(std::string_view key, const char* expected, const GgufValue* found) {
  return absl::InvalidArgumentError(
      absl::StrCat("metadata key ", std::string(key), ": expected ", expected, ", found ",
                   found == nullptr ? "none" : GgufValueText(*found)));
}

bool IsInteger(GgufValueType type) {
  return GgufScalarBytes(type) != 0 && type != kF32 && type != kF64 && type != kBool;
}

// REQUIRES: IsInteger(type), but for u64 above 2^63 - 1, which gives -1.
int64_t LoadInteger(GgufValueType type, const std::byte* at) {
  switch (type) {
    case kU8:
      return Load<uint8_t>(at);
    case kI8:
      return Load<int8_t>(at);
    case kU16:
      return Load<uint16_t>(at);
    case kI16:
      return Load<int16_t>(at);
    case kU32:
      return Load<uint32_t>(at);
    case kI32:
      return Load<int32_t>(at);
    case kU64: {
      const uint64_t value = Load<uint64_t>(at);
      return value > std::numeric_limits<int64_t>::max() ? -1 : static_cast<int64_t>(value);
    }
    default:
      return Load<int64_t>(at);
  }
}

}  // namespace

size_t GgufScalarBytes(GgufValueType type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
      return 8;
    case kString:
    case kArray:
      return 0;
  }
  return 0;
}

const char* GgufValueTypeName(GgufValueType type) {
  constexpr const char* kNames[kGgufValueTypes] = {"u8",  "i8",  "u16",  "i16",    "u32",
                                                   "i32", "f32", "bool", "string", "array",
                                                   "u64", "i64", "f64"};
  return kNames[static_cast<uint32_t>(type)];
}

std::string GgufValueText(const GgufValue& value) {
  const std::byte* at = value.bytes.data();
  const char* name = GgufValueTypeName(value.type);
  switch (value.type) {
    case kString:
      return absl::StrCat("the text ",
                          Quoted({reinterpret_cast<const char*>(at), value.bytes.size()}));
    case kArray:
      return absl::StrCat("an array of ", value.count, " ", GgufValueTypeName(value.element_type));
    case kBool:
      return absl::StrCat(name, " ", Load<uint8_t>(at));
    case kF32:
      return absl::StrCat(name, " ", Load<float>(at));
    case kF64:
      return absl::StrCat(name, " ", Load<double>(at));
    case kU64:
      return absl::StrCat(name, " ", Load<uint64_t>(at));
    default:
      return absl::StrCat(name, " ", LoadInteger(value.type, at));
  }
}

bool AllGgufNumbers(const GgufValue& value, const std::function<bool(double)>& holds) {
  const bool array = value.type == kArray;
  const GgufValueType type = array ? value.element_type : value.type;
  const size_t bytes = GgufScalarBytes(type);
  if (bytes == 0) return false;
  const uint64_t count = array ? value.count : 1;
  for (uint64_t i = 0; i < count; ++i) {
    const std::byte* at = value.bytes.data() + i * bytes;
    const double number = type == kF32    ? static_cast<double>(Load<float>(at))
                          : type == kF64  ? Load<double>(at)
                          : type == kBool ? Load<uint8_t>(at)
                          : type == kU64  ? static_cast<double>(Load<uint64_t>(at))
                                          : static_cast<double>(LoadInteger(type, at));
    if (!holds(number)) return false;
  }
  return true;
}

std::optional<double> GgufNumber(const GgufValue& value) {
  std::optional<double> first;
  const auto is_first = [&](double number) {
    if (!first) first = number;
    return *first == number;
  };
  return AllGgufNumbers(value, is_first) ? first : std::nullopt;
}

std::string_view GgufStringOf(const GgufValue& value) {
  if (value.type != kString) return {};
  return {reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()};
}

absl::StatusOr<uint32_t> GgufMetadata::U32(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value != nullptr && IsInteger(value->type)) {
    const int64_t number = LoadInteger(value->type, value->bytes.data());
    if (number >= 0 && number <= std::numeric_limits<uint32_t>::max())
      return static_cast<uint32_t>(number);
  }
  return Unexpected(key, "a whole number from 0 to 4294967295", value);
}

absl::StatusOr<uint32_t> GgufMetadata::U32OfLayers(std::string_view key, uint32_t layers) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type != kArray || !IsInteger(value->element_type)) return U32(key);
  const std::string expected =
      absl::StrCat("a whole number, or one for each of the ", layers, " layers");
  if (layers == 0 || value->count != layers) return Unexpected(key, expected.c_str(), value);
  const size_t bytes = GgufScalarBytes(value->element_type);
  const int64_t first = LoadInteger(value->element_type, value->bytes.data());
  for (uint64_t i = 0; i < layers; ++i) {
    const int64_t number = LoadInteger(value->element_type, value->bytes.data() + i * bytes);
    if (number < 0 || number > std::numeric_limits<uint32_t>::max())
      return Unexpected(key, "whole numbers from 0 to 4294967295", value);
    if (number == first) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("metadata key ", std::string(key),
                     ": expected the same number for every layer, because this version cannot "
                     "convert models whose layers differ, found ",
                     first, " for layer 0 and ", number, " for layer ", i));
  }
  return static_cast<uint32_t>(first);
}

absl::StatusOr<uint32_t> GgufMetadata::U32Or(std::string_view key, uint32_t fallback) const {
  if (!Has(key)) return fallback;
  return U32(key);
}

absl::StatusOr<float> GgufMetadata::F32(std::string_view key) const {
  const GgufValue* value = Find(key);
  float number = std::numeric_limits<float>::quiet_NaN();
  if (value != nullptr && value->type == kF32) number = Load<float>(value->bytes.data());
  // Beyond f32 the conversion is not defined.
  if (value != nullptr && value->type == kF64) {
    const double wide = Load<double>(value->bytes.data());
    if (std::fabs(wide) <= static_cast<double>(std::numeric_limits<float>::max()))
      number = static_cast<float>(wide);
  }
  if (std::isfinite(number)) return number;
  return Unexpected(key, "a finite f32", value);
}

absl::StatusOr<float> GgufMetadata::F32Or(std::string_view key, float fallback) const {
  if (!Has(key)) return fallback;
  return F32(key);
}

absl::StatusOr<bool> GgufMetadata::BoolOr(std::string_view key, bool fallback) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->type != kBool) return Unexpected(key, "a bool", value);
  return Load<uint8_t>(value->bytes.data()) != 0;
}

absl::StatusOr<std::string_view> GgufMetadata::String(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type != kString) return Unexpected(key, "a string", value);
  return GgufStringOf(*value);
}

absl::StatusOr<std::string_view> GgufMetadata::StringOr(std::string_view key,
                                                        std::string_view fallback) const {
  if (!Has(key)) return fallback;
  return String(key);
}

absl::StatusOr<std::vector<float>> GgufMetadata::F32s(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type != kArray || value->element_type != kF32)
    return Unexpected(key, "an array of f32", value);
  std::vector<float> numbers(value->count);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = Load<float>(value->bytes.data() + i * sizeof(float));
  return numbers;
}

absl::StatusOr<std::vector<std::string_view>> GgufMetadata::Strings(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type != kArray || value->element_type != kString)
    return Unexpected(key, "an array of strings", value);
  std::vector<std::string_view> strings;
  strings.reserve(value->count);  // each of them took 8 bytes of the file
  for (const std::byte* at = value->bytes.data(); strings.size() < value->count;) {
    const uint64_t size = Load<uint64_t>(at);
    strings.emplace_back(reinterpret_cast<const char*>(at) + sizeof(size), size);
    at += sizeof(size) + size;
  }
  return strings;
}

absl::StatusOr<std::vector<int64_t>> GgufMetadata::Integers(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr || value->type != kArray || !IsInteger(value->element_type) ||
      GgufScalarBytes(value->element_type) > sizeof(uint32_t))
    return Unexpected(key, "an array of integers of up to 32 bits", value);
  const size_t bytes = GgufScalarBytes(value->element_type);
  std::vector<int64_t> numbers(value->count);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = LoadInteger(value->element_type, value->bytes.data() + i * bytes);
  return numbers;
}

}  // namespace tvl
