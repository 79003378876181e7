// The key-value pairs of a GGUF file, as they lie in it.
#ifndef TVL_MODELS_IMPORT_GGUF_METADATA_H_
#define TVL_MODELS_IMPORT_GGUF_METADATA_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace tvl {

// The numbers are the file's.
enum class GgufValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
inline constexpr uint32_t kGgufValueTypes = 13;

// Bytes of a number or a bool; 0 for strings and arrays, which tell their own size.
size_t GgufScalarBytes(GgufValueType type);
const char* GgufValueTypeName(GgufValueType type);

// A value whose extent has been checked. A view of the file.
struct GgufValue {
  GgufValueType type = GgufValueType::kU8;
  // A scalar's bytes, a string's characters, or an array's elements, which follow each other as
  // they would outside of it: a string after its u64 length, an array after its u32 type and u64
  // count.
  std::span<const std::byte> bytes;
  GgufValueType element_type = GgufValueType::kU8;  // of an array
  uint64_t count = 0;                               // of an array
};

// For errors: "the text 'llama'", "u32 7", "an array of 3 f32".
std::string GgufValueText(const GgufValue& value);
// Whether the value is a number or a bool, or an array of these, and `holds` is true of all of
// them; of an empty array it is.
bool AllGgufNumbers(const GgufValue& value, const std::function<bool(double)>& holds);
// The number, or the one that all elements of an array are; nothing for anything else.
std::optional<double> GgufNumber(const GgufValue& value);
// The characters of a text; none of anything else.
std::string_view GgufStringOf(const GgufValue& value);
// "metadata key KEY: expected PARTS"
template <typename... Parts>
absl::Status MalformedGgufKey(const char* key, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("metadata key ", key, ": expected ", parts...));
}

// All of a file. Getters give InvalidArgument that names the key, what was expected and found;
// those with a fallback give it where there is no such key. Views of the file, which must outlive
// them.
class GgufMetadata {
 public:
  // False if the key is there already.
  bool Add(std::string_view key, const GgufValue& value) {
    return values_.emplace(key, value).second;
  }

  const GgufValue* Find(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  // In the order of the keys.
  const std::map<std::string_view, GgufValue>& values() const { return values_; }

  // A whole number of any integer type, from 0 to 2^32 - 1.
  absl::StatusOr<uint32_t> U32(std::string_view key) const;
  absl::StatusOr<uint32_t> U32Or(std::string_view key, uint32_t fallback) const;
  // The same where a file may have one number for each layer: an array of `layers` that are alike.
  absl::StatusOr<uint32_t> U32OfLayers(std::string_view key, uint32_t layers) const;
  // f32 or f64, finite.
  absl::StatusOr<float> F32(std::string_view key) const;
  absl::StatusOr<float> F32Or(std::string_view key, float fallback) const;
  absl::StatusOr<bool> BoolOr(std::string_view key, bool fallback) const;
  absl::StatusOr<std::string_view> String(std::string_view key) const;
  absl::StatusOr<std::string_view> StringOr(std::string_view key, std::string_view fallback) const;
  // Arrays. Numbers of f32, strings, and numbers of an integer type of up to 32 bits.
  absl::StatusOr<std::vector<float>> F32s(std::string_view key) const;
  absl::StatusOr<std::vector<std::string_view>> Strings(std::string_view key) const;
  absl::StatusOr<std::vector<int64_t>> Integers(std::string_view key) const;

 private:
  std::map<std::string_view, GgufValue> values_;
};

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_METADATA_H_
