// .tvl files in memory whose bytes a test may change, for tests of the reader.
#ifndef TVL_TESTS_SUPPORT_HOSTILE_FILE_H_
#define TVL_TESTS_SUPPORT_HOSTILE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/aligned_buffer.h"
#include "core/tile.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_reader.h"
#include "tests/support/seal.h"
#include "tests/support/test_model.h"

namespace tvl::testing {

// A file in memory of exactly its size, so that a sanitizer sees any byte read beyond it.
class HostileFile {
 public:
  explicit HostileFile(std::span<const std::byte> bytes) : bytes_(bytes.size()) {
    std::memcpy(bytes_.data(), bytes.data(), bytes.size());
  }

  HostileFile(const HostileFile& other) : HostileFile(other.bytes()) {}
  HostileFile& operator=(const HostileFile&) = delete;

  template <typename T>
  HostileFile& Set(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(value));
    return *this;
  }
  template <typename T>
  T Get(size_t offset) const {
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(value));
    return value;
  }

  size_t size() const { return bytes_.size(); }
  std::span<const std::byte> bytes() const { return bytes_.span(); }
  size_t Entry(size_t index) const { return Get<uint64_t>(24) + index * 128; }
  size_t Config() const { return Get<uint64_t>(32); }
  uint32_t EntryCount() const { return Get<uint32_t>(48); }

  // Makes the header's checksum right, if its sections lie within the file at all.
  HostileFile& Seal() {
    testing::Seal(bytes_.span());
    return *this;
  }

  // "" when the file is accepted.
  std::string Error() const {
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(bytes_.span(), "hostile.tvl");
    if (reader.ok()) return "";
    EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(reader.status().message()), ::testing::HasSubstr("hostile.tvl: "));
    return std::string(reader.status().message());
  }

 private:
  AlignedBuffer<std::byte> bytes_;
};

// Default shape: dim 36, hidden 50, 2 layers, 6 heads, 2 kv heads, head_dim 6, vocabulary 67, tied.
inline HostileFile Plain() {
  static const TempTvl* const file = new TempTvl(TestModel(TestShape{}).source());
  return HostileFile(file->bytes());
}

inline HostileFile WithTokenizer() {
  static const TempTvl* const file = [] {
    TokenizerData data;
    for (int i = 0; i < 67; ++i) {
      data.pieces.push_back(absl::StrCat("piece", i));
      data.scores.push_back(static_cast<float>(-i));
    }
    return new TempTvl(TestModel(TestShape{}).source(), WeightType::kF32, SerializeTokenizer(data));
  }();
  return HostileFile(file->bytes());
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_HOSTILE_FILE_H_
