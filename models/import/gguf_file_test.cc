#include "models/import/gguf_file.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/aligned_buffer.h"
#include "core/quoted.h"
#include "gtest/gtest.h"
#include "models/import/gguf_metadata.h"
#include "models/import/gguf_type.h"

namespace tvl {
namespace {

using enum GgufValueType;

template <typename T>
std::string Raw(T value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}
std::string Text(std::string_view text) { return Raw(uint64_t{text.size()}) + std::string(text); }
template <typename T>
std::string Pair(std::string_view key, GgufValueType type, T value) {
  return Text(key) + Raw(static_cast<uint32_t>(type)) + Raw(value);
}
std::string StringPair(std::string_view key, std::string_view value) {
  return Text(key) + Raw(static_cast<uint32_t>(kString)) + Text(value);
}
std::string ArrayHead(GgufValueType element, uint64_t count) {
  return Raw(static_cast<uint32_t>(element)) + Raw(count);
}
std::string ArrayPair(std::string_view key, const std::string& array) {
  return Text(key) + Raw(static_cast<uint32_t>(kArray)) + array;
}
std::string Info(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type,
                 uint64_t offset) {
  std::string info = Text(name) + Raw(static_cast<uint32_t>(dims.size()));
  for (const uint64_t size : dims) info += Raw(size);
  return info + Raw(type) + Raw(offset);
}

struct Contents {
  std::vector<std::string> pairs, infos;
  std::string data;
  size_t alignment = 32;

  std::string Bytes() const {
    std::string file =
        "GGUF" + Raw(uint32_t{3}) + Raw(uint64_t{infos.size()}) + Raw(uint64_t{pairs.size()});
    for (const std::string& pair : pairs) file += pair;
    for (const std::string& info : infos) file += info;
    if (!infos.empty()) file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }
};

// The bytes as a mapped file would have them: aligned, and nothing after the last.
class Loaded {
 public:
  explicit Loaded(std::string_view bytes) : bytes_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.data(), bytes.data(), bytes.size());
    file_ = ParseGguf(bytes_.span());
  }
  Loaded(const Loaded&) = delete;

  const absl::StatusOr<GgufFile>& operator*() const { return file_; }
  const GgufFile* operator->() const { return &*file_; }
  std::string error() const { return absl::StrCat(file_.status().message()); }

 private:
  AlignedBuffer<std::byte> bytes_;
  absl::StatusOr<GgufFile> file_;
};

// Every kind of value, nested arrays and two tensors.
Contents Sample() {
  const std::string strings = ArrayHead(kString, 3) + Text("one") + Text("") + Text("three");
  Contents c;
  c.pairs = {Pair("u8", kU8, uint8_t{200}),
             Pair("i8", kI8, int8_t{-3}),
             Pair("u16", kU16, uint16_t{60000}),
             Pair("i16", kI16, int16_t{300}),
             Pair("u32", kU32, uint32_t{4000000000}),
             Pair("i32", kI32, int32_t{70000}),
             Pair("u64", kU64, uint64_t{5}),
             Pair("i64", kI64, int64_t{6}),
             Pair("wide", kU64, uint64_t{1} << 32),
             Pair("f32", kF32, 1.5f),
             Pair("f64", kF64, 0.25),
             Pair("yes", kBool, uint8_t{1}),
             StringPair("text", "llama"),
             ArrayPair("strings", strings),
             ArrayPair("floats", ArrayHead(kF32, 2) + Raw(1.0f) + Raw(-2.0f)),
             ArrayPair("numbers", ArrayHead(kI16, 2) + Raw(int16_t{7}) + Raw(int16_t{-8})),
             ArrayPair("nested", ArrayHead(kArray, 2) + strings + ArrayHead(kU8, 1) + "x"),
             ArrayPair("empty", ArrayHead(kString, 0))};
  c.infos = {Info("b.weight", {32, 3}, 2, 32), Info("a", {4}, 0, 0)};
  c.data = Raw(1.0f) + Raw(2.0f) + Raw(3.0f) + Raw(4.0f);
  c.data.resize(32 + 3 * 18, 'q');
  return c;
}

TEST(GgufFileTest, Values) {
  const Loaded file(Sample().Bytes());
  ASSERT_TRUE((*file).ok()) << file.error();
  const GgufMetadata& m = file->metadata;
  EXPECT_EQ(m.values().size(), 18u);
  EXPECT_EQ(*m.U32("u8"), 200u);
  EXPECT_EQ(*m.U32("u16"), 60000u);
  EXPECT_EQ(*m.U32("i16"), 300u);
  EXPECT_EQ(*m.U32("u32"), 4000000000u);
  EXPECT_EQ(*m.U32("i32"), 70000u);
  EXPECT_EQ(*m.U32("u64"), 5u);
  EXPECT_EQ(*m.U32("i64"), 6u);
  EXPECT_EQ(*m.U32Or("none", 9), 9u);
  EXPECT_EQ(*m.F32("f32"), 1.5f);
  EXPECT_EQ(*m.F32("f64"), 0.25f);
  EXPECT_EQ(*m.F32Or("none", 0.5f), 0.5f);
  EXPECT_TRUE(*m.BoolOr("yes", false));
  EXPECT_TRUE(*m.BoolOr("none", true));
  EXPECT_EQ(*m.String("text"), "llama");
  EXPECT_EQ(*m.Strings("strings"), (std::vector<std::string_view>{"one", "", "three"}));
  EXPECT_TRUE(m.Strings("empty")->empty());
  EXPECT_EQ(*m.F32s("floats"), (std::vector<float>{1, -2}));
  EXPECT_EQ(*m.Integers("numbers"), (std::vector<int64_t>{7, -8}));
  EXPECT_EQ(m.Find("nested")->count, 2u);
  EXPECT_EQ(m.Find("nothing"), nullptr);
}

TEST(GgufFileTest, ValuesOfAnotherType) {
  const Loaded file(Sample().Bytes());
  const GgufMetadata& m = file->metadata;
  const auto error = [](const auto& value) { return absl::StrCat(value.status().message()); };
  const std::string whole = ": expected a whole number from 0 to 4294967295, found ";
  EXPECT_EQ(error(m.U32("i8")), "metadata key i8" + whole + "i8 -3");
  EXPECT_EQ(error(m.U32("wide")), "metadata key wide" + whole + "u64 4294967296");
  EXPECT_EQ(error(m.U32("f32")), "metadata key f32" + whole + "f32 1.5");
  EXPECT_EQ(error(m.U32("none")), "metadata key none" + whole + "none");
  EXPECT_EQ(error(m.U32Or("yes", 1)), "metadata key yes" + whole + "bool 1");
  EXPECT_EQ(error(m.U32("nested")), "metadata key nested" + whole + "an array of 2 array");
  EXPECT_EQ(error(m.F32("u8")), "metadata key u8: expected a finite f32, found u8 200");
  EXPECT_EQ(error(m.BoolOr("u8", true)), "metadata key u8: expected a bool, found u8 200");
  EXPECT_EQ(error(m.String("u8")), "metadata key u8: expected a string, found u8 200");
  EXPECT_EQ(error(m.Strings("text")),
            "metadata key text: expected an array of strings, found the text 'llama'");
  EXPECT_EQ(error(m.F32s("numbers")),
            "metadata key numbers: expected an array of f32, found an array of 2 i16");
  EXPECT_EQ(error(m.Integers("floats")),
            "metadata key floats: expected an array of integers of up to 32 bits, found an array "
            "of 2 f32");
}

TEST(GgufFileTest, Tensors) {
  const Loaded file(Sample().Bytes());
  ASSERT_EQ(file->tensors.size(), 2u);
  const GgufTensor* a = file->FindTensor("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->cols(), 4u);
  EXPECT_EQ(a->rows(), 1u);
  EXPECT_EQ(reinterpret_cast<const float*>(a->data.data())[3], 4.0f);
  const GgufTensor* b = file->FindTensor("b.weight");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->cols(), 32u);
  EXPECT_EQ(b->rows(), 3u);
  EXPECT_EQ(b->data.size(), 54u);
  EXPECT_EQ(b->data.data() - a->data.data(), 32);
  EXPECT_EQ(file->FindTensor("b"), nullptr);
}

TEST(GgufFileTest, AlignmentIsTheFiles) {
  Contents c = Sample();
  c.pairs.push_back(Pair("general.alignment", kU32, uint32_t{8}));
  c.alignment = 8;
  c.infos[0] = Info("b.weight", {32, 3}, 2, 16);
  const Loaded file(c.Bytes());
  ASSERT_TRUE((*file).ok()) << file.error();
  EXPECT_EQ(reinterpret_cast<const float*>(file->FindTensor("a")->data.data())[0], 1.0f);
  EXPECT_EQ(file->FindTensor("b.weight")->data.data() - file->FindTensor("a")->data.data(), 16);
}

TEST(GgufFileTest, WithoutTensorsThereNeedBeNoPadding) {
  Contents c;
  c.pairs = {StringPair("general.architecture", "llama")};
  EXPECT_TRUE((*Loaded(c.Bytes())).ok());
}

TEST(GgufFileTest, EveryCutIsFound) {
  const std::string whole = Sample().Bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    const Loaded file(std::string_view(whole).substr(0, size));
    EXPECT_EQ((*file).status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_NE(file.error().find("expected"), std::string::npos) << file.error();
  }
}

TEST(GgufFileTest, RandomDamageNeverHurts) {
  constexpr uint32_t kSeed = 20260103;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::string whole = Sample().Bytes();
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = whole;
    for (unsigned flips = 1 + random() % 3; flips > 0; --flips)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    const Loaded file(damaged);
    if (!(*file).ok()) continue;
    ++accepted;
    unsigned sum = 0;
    for (const auto& [key, value] : file->metadata.values()) {
      sum += static_cast<unsigned>(GgufValueText(value).size());
      if (const auto strings = file->metadata.Strings(key); strings.ok()) {
        for (const std::string_view text : *strings) {
          for (const char c : text) sum += static_cast<unsigned char>(c);
        }
      }
    }
    for (const GgufTensor& tensor : file->tensors) {
      for (const std::byte b : tensor.data) sum += std::to_integer<unsigned>(b);
    }
    EXPECT_GT(sum, 0u);
  }
  EXPECT_GT(accepted, 100);
}

// Bits per weight, as llama.cpp tells them.
TEST(GgufTypeTest, KnowsTheSizesOfTypesThatItCannotDecode) {
  const struct {
    uint32_t type;
    double bits;
  } types[] = {{0, 32},      {8, 8.5},     {14, 6.5625}, {16, 2.0625}, {17, 2.3125}, {18, 3.0625},
               {19, 1.5625}, {21, 3.4375}, {22, 2.5625}, {26, 32},     {29, 1.75},   {34, 1.6875},
               {35, 2.0625}, {39, 4.25},   {40, 4.5},    {41, 1.125},  {42, 2.25}};
  for (const auto& t : types) {
    const std::optional<GgufBlock> block = FindGgufBlock(t.type);
    ASSERT_TRUE(block) << t.type;
    EXPECT_EQ(8.0 * block->bytes / block->weights, t.bits) << t.type;
  }
  for (const uint32_t unknown : {4u, 5u, 43u, 99u, 4294967295u})
    EXPECT_FALSE(FindGgufBlock(unknown));
}

TEST(GgufFileTest, TheDirectoryIsReadWhateverTheTypesAndTheExtents) {
  Contents contents;
  contents.pairs = {StringPair("general.architecture", "other")};
  contents.infos = {Info("b.weight", {7, 3}, 99, 64), Info("a.weight", {300, 1, 2}, 17, 1 << 20)};
  const std::string bytes = contents.Bytes();
  const Loaded file(bytes);
  EXPECT_FALSE((*file).ok());
  AlignedBuffer<std::byte> aligned(bytes.size());
  std::memcpy(aligned.data(), bytes.data(), bytes.size());
  const auto directory = ParseGgufDirectory(aligned.span());
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_EQ(directory->version, 3u);
  EXPECT_EQ(directory->alignment, 32u);
  EXPECT_TRUE(directory->metadata.Has("general.architecture"));
  ASSERT_EQ(directory->tensors.size(), 2u);
  const GgufTensorInfo &b = directory->tensors[0], &a = directory->tensors[1];
  EXPECT_EQ(b.name, "b.weight");
  EXPECT_EQ(b.type, 99u);
  EXPECT_EQ(b.shape, (std::array<uint64_t, 4>{7, 3, 1, 1}));
  EXPECT_EQ(b.offset, 64u);
  EXPECT_EQ(a.n_dims, 3u);
  EXPECT_EQ(a.shape, (std::array<uint64_t, 4>{300, 1, 2, 1}));
}

TEST(GgufFileTest, QuotedTextIsOneShortLine) {
  EXPECT_EQ(Quoted("llama"), "'llama'");
  EXPECT_EQ(Quoted("a\nb\x1b"), "'a\\nb\\x1b'");
  EXPECT_EQ(Quoted(std::string(100, 'x')), "'" + std::string(60, 'x') + "...'");
}

}  // namespace
}  // namespace tvl
