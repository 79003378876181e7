#include "models/import/gguf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/quoted.h"

namespace tvl {
namespace {

static_assert(std::endian::native == std::endian::little);

using enum GgufValueType;

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kOldestVersion = 2, kNewestVersion = 3;
constexpr uint64_t kMaxNameBytes = 65535;
// So that a hostile file cannot make the walk over arrays in arrays run out of stack.
constexpr int kMaxArrayDepth = 8;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 30;
// A download that has not come to its end is the likeliest reason.
constexpr char kTruncated[] = "; the file is truncated or damaged: is its download complete?";
// What the shortest entries take: a key's length, its type, a u8; a tensor's length of name,
// dimensions' number, one dimension, type and offset; a string's length; an array's type and count.
constexpr uint64_t kLeastEntryBytes = 8 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;
constexpr uint64_t kLeastStringBytes = 8;
constexpr uint64_t kLeastArrayBytes = 4 + 8;

template <typename... Parts>
absl::Status Malformed(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

// The file and how far it has been read. The first error stays, and everything after it is 0.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> file) : file_(file) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return file_.size() - position_; }
  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }
  // Returns false, for the caller's convenience.
  bool Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
    return false;
  }

  // `what` names the field, for the error.
  std::span<const std::byte> Take(uint64_t bytes, std::string_view what) {
    if (!ok()) return {};
    if (bytes > remaining()) {
      Fail(Malformed(std::string(what), " at byte ", position_, ": expected ", bytes,
                     bytes == 1 ? " byte" : " bytes", ", found ", remaining(),
                     " before the file's end", kTruncated));
      return {};
    }
    const std::span<const std::byte> taken = file_.subspan(position_, bytes);
    position_ += bytes;
    return taken;
  }
  template <typename T>
  T Number(std::string_view what) {
    const std::span<const std::byte> bytes = Take(sizeof(T), what);
    T value = {};
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  // How many things of at least so many bytes follow.
  uint64_t Count(uint64_t least_bytes, std::string_view what) {
    const uint64_t at = position_;
    return Fits(Number<uint64_t>(what), least_bytes, at, what);
  }
  uint64_t Fits(uint64_t count, uint64_t least_bytes, uint64_t at, std::string_view what) {
    if (!ok() || count <= remaining() / least_bytes) return count;
    Fail(Malformed(std::string(what), " at byte ", at, ": expected at most ",
                   remaining() / least_bytes, ", which is what the file's other ", remaining(),
                   " bytes have room for, found ", count, kTruncated));
    return 0;
  }
  std::string_view String(std::string_view what) {
    const uint64_t size = Number<uint64_t>(what);
    const std::span<const std::byte> bytes = Take(size, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // A key or a tensor's name: in errors, so it has to be fit to be printed.
  std::string_view Name(std::string_view what) {
    const uint64_t at = position_;
    const std::string_view name = String(what);
    if (!ok()) return name;
    if (name.empty() || name.size() > kMaxNameBytes || !IsPrintable(name)) {
      Fail(Malformed(std::string(what), " at byte ", at, ": expected 1 to ", kMaxNameBytes,
                     " printable characters without spaces, found ", Quoted(name)));
    }
    return name;
  }

 private:
  const std::span<const std::byte> file_;
  uint64_t position_ = 0;
  absl::Status status_;
};

GgufValueType TakeType(Cursor& cursor, const std::string& what) {
  const uint64_t at = cursor.position();
  const uint32_t type = cursor.Number<uint32_t>(absl::StrCat(what, ", type"));
  if (type < kGgufValueTypes) return static_cast<GgufValueType>(type);
  cursor.Fail(Malformed(what, ", type at byte ", at, ": expected 0 to ", kGgufValueTypes - 1,
                        ", found ", type));
  return kU8;
}

void CheckBools(Cursor& cursor, const std::string& what, std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) {
    if (std::to_integer<unsigned>(b) <= 1) continue;
    cursor.Fail(
        Malformed(what, ": expected a bool of 0 or 1, found ", std::to_integer<unsigned>(b)));
    return;
  }
}

GgufValue TakeValue(Cursor& cursor, const std::string& what, GgufValueType type, int depth);

// Walks over the elements, so that whoever reads them later need not check them again.
GgufValue TakeArray(Cursor& cursor, const std::string& what, int depth) {
  GgufValue array;
  array.type = kArray;
  array.element_type = TakeType(cursor, absl::StrCat(what, ", elements"));
  const size_t scalar_bytes = GgufScalarBytes(array.element_type);
  const uint64_t least = scalar_bytes != 0               ? scalar_bytes
                         : array.element_type == kString ? kLeastStringBytes
                                                         : kLeastArrayBytes;
  array.count = cursor.Count(least, absl::StrCat(what, ", count of elements"));
  if (!cursor.ok()) return array;
  if (scalar_bytes != 0) {
    array.bytes = cursor.Take(array.count * scalar_bytes, what);
    if (array.element_type == kBool) CheckBools(cursor, what, array.bytes);
    return array;
  }
  if (depth == kMaxArrayDepth) {
    cursor.Fail(Malformed(what, ": expected arrays within arrays up to a depth of ", kMaxArrayDepth,
                          ", found more"));
    return array;
  }
  Cursor begin = cursor;
  for (uint64_t i = 0; i < array.count && cursor.ok(); ++i)
    TakeValue(cursor, what, array.element_type, depth + 1);
  if (cursor.ok()) array.bytes = begin.Take(cursor.position() - begin.position(), what);
  return array;
}

GgufValue TakeValue(Cursor& cursor, const std::string& what, GgufValueType type, int depth) {
  if (type == kArray) return TakeArray(cursor, what, depth);
  GgufValue value;
  value.type = type;
  if (type == kString) {
    const std::string_view text = cursor.String(what);
    value.bytes = std::as_bytes(std::span(text.data(), text.size()));
    return value;
  }
  value.bytes = cursor.Take(GgufScalarBytes(type), what);
  if (type == kBool) CheckBools(cursor, what, value.bytes);
  return value;
}

void TakeMetadata(Cursor& cursor, uint64_t count, GgufMetadata* metadata) {
  for (uint64_t i = 0; i < count && cursor.ok(); ++i) {
    const std::string_view key = cursor.Name(absl::StrCat("metadata key ", i, " of ", count));
    if (!cursor.ok()) return;
    const std::string what = absl::StrCat("metadata key ", std::string(key));
    const GgufValueType type = TakeType(cursor, what);
    if (!cursor.ok()) return;
    const GgufValue value = TakeValue(cursor, what, type, 1);
    if (cursor.ok() && !metadata->Add(key, value))
      cursor.Fail(Malformed(what, ": expected it once, found it twice"));
  }
}

// The shape and the bytes that follow from it.
bool TakeShape(Cursor& cursor, const std::string& what, GgufTensorInfo* tensor) {
  const uint64_t at = cursor.position();
  tensor->n_dims = cursor.Number<uint32_t>(absl::StrCat(what, ", number of dimensions"));
  if (!cursor.ok()) return false;
  if (tensor->n_dims < 1 || tensor->n_dims > tensor->shape.size()) {
    return cursor.Fail(Malformed(what, ", number of dimensions at byte ", at,
                                 ": expected 1 to 4, found ", tensor->n_dims));
  }
  tensor->shape = {1, 1, 1, 1};
  uint64_t numbers = 1;
  for (uint32_t i = 0; i < tensor->n_dims; ++i) {
    const uint64_t size = cursor.Number<uint64_t>(absl::StrCat(what, ", dimension ", i));
    if (!cursor.ok()) return false;
    // 2^56 numbers of any type are fewer than 2^64 bytes.
    constexpr uint64_t kMaxNumbers = uint64_t{1} << 56;
    if (size < 1 || size > kMaxNumbers / numbers) {
      return cursor.Fail(Malformed(what, ", dimension ", i, ": expected 1 to ",
                                   kMaxNumbers / numbers, ", found ", size));
    }
    numbers *= size;
    tensor->shape[i] = size;
  }
  return true;
}

// A tensor as the file describes it.
bool TakeTensor(Cursor& cursor, const std::string& where, GgufTensorInfo* tensor) {
  tensor->name = cursor.Name(absl::StrCat(where, ", name"));
  if (!cursor.ok()) return false;
  const std::string what = absl::StrCat("tensor ", std::string(tensor->name));
  if (!TakeShape(cursor, what, tensor)) return false;
  tensor->type = cursor.Number<uint32_t>(absl::StrCat(what, ", type"));
  tensor->offset = cursor.Number<uint64_t>(absl::StrCat(what, ", offset"));
  return cursor.ok();
}

// A tensor whose type can be decoded. Its data has no place yet.
absl::StatusOr<GgufTensor> Decodable(const GgufTensorInfo& info) {
  GgufTensor tensor = {.name = info.name,
                       .type = FindGgufType(info.type),
                       .n_dims = info.n_dims,
                       .shape = info.shape,
                       .data = {}};
  const std::string what = absl::StrCat("tensor ", std::string(info.name));
  if (tensor.type == nullptr) {
    return Malformed(what,
                     ", type: expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to "
                     "Q6_K, IQ4_NL or IQ4_XS, found ",
                     GgufTypeText(info.type), ", which this version cannot decode");
  }
  if (tensor.cols() % tensor.type->block_weights != 0) {
    return Malformed(what, ", dimension 0: expected a multiple of ", tensor.type->block_weights,
                     ", the block of ", tensor.type->name, ", found ", tensor.cols());
  }
  return tensor;
}

// Where the data of one tensor lies in the file.
absl::StatusOr<std::span<const std::byte>> DataOf(std::span<const std::byte> file,
                                                  const GgufDirectory& directory, uint64_t offset,
                                                  const GgufTensor& tensor) {
  const uint64_t begin = directory.data_begin;
  const uint64_t room = begin > file.size() ? 0 : file.size() - begin;
  const std::string what = absl::StrCat("tensor ", std::string(tensor.name));
  if (offset % directory.alignment != 0) {
    return Malformed(what, ", offset: expected a multiple of ", directory.alignment,
                     ", the file's alignment, found ", offset);
  }
  const uint64_t bytes = tensor.rows() * tensor.type->RowBytes(tensor.cols());
  if (offset > room || bytes > room - offset) {
    return Malformed(what, ", offset: expected room for ", bytes, " bytes from offset ", offset,
                     " on, found ", offset > room ? 0 : room - offset, " before the file's end",
                     kTruncated);
  }
  return file.subspan(begin + offset, bytes);
}

// The tensors of the directory with their data.
absl::Status PlaceTensors(std::span<const std::byte> file, const GgufDirectory& directory,
                          std::vector<GgufTensor>* tensors) {
  for (const GgufTensorInfo& info : directory.tensors) {
    absl::StatusOr<GgufTensor> tensor = Decodable(info);
    if (!tensor.ok()) return tensor.status();
    const auto data = DataOf(file, directory, info.offset, *tensor);
    if (!data.ok()) return data.status();
    tensor->data = *data;
    tensors->push_back(*tensor);
  }
  std::vector<const GgufTensor*> by_place;
  for (const GgufTensor& tensor : *tensors) by_place.push_back(&tensor);
  std::ranges::sort(by_place, {}, [](const GgufTensor* t) { return t->data.data(); });
  for (size_t i = 1; i < by_place.size(); ++i) {
    const GgufTensor &a = *by_place[i - 1], &b = *by_place[i];
    if (a.data.data() + a.data.size() <= b.data.data()) continue;
    return Malformed("tensor ", std::string(b.name), ", offset: expected data of its own, found ",
                     "that it overlaps ", std::string(a.name));
  }
  return absl::OkStatus();
}

absl::Status TakeVersion(Cursor& cursor, uint32_t* found) {
  const uint32_t version = *found = cursor.Number<uint32_t>("header field version");
  if (!cursor.ok()) return cursor.status();
  if (version >= kOldestVersion && version <= kNewestVersion) return absl::OkStatus();
  const char* hint = version > kNewestVersion ? ", which this version of tvl does not know" : "";
  if (version == 1) hint = ", from before October 2023: look for a newer file of this model";
  if (version != 0 && version % 65536 == 0) hint = "; this looks like a big-endian file";
  return Malformed("header field version: expected 2 or 3, found ", version, hint);
}

absl::StatusOr<uint64_t> AlignmentOf(const GgufMetadata& metadata) {
  const absl::StatusOr<uint32_t> alignment = metadata.U32Or("general.alignment", kDefaultAlignment);
  if (!alignment.ok()) return alignment.status();
  if (std::has_single_bit(*alignment) && *alignment >= 8 && *alignment <= kMaxAlignment)
    return *alignment;
  return Malformed("metadata key general.alignment: expected a power of two from 8 to ",
                   kMaxAlignment, ", found ", *alignment);
}

}  // namespace

bool IsGguf(std::span<const std::byte> file) {
  return file.size() >= kMagic.size() &&
         std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors, name, {}, &GgufTensor::name);
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

absl::Status IndexGgufTensors(std::vector<GgufTensor>* tensors) {
  std::ranges::sort(*tensors, {}, &GgufTensor::name);
  const auto twice = std::ranges::adjacent_find(*tensors, {}, &GgufTensor::name);
  if (twice == tensors->end()) return absl::OkStatus();
  return Malformed("tensor ", std::string(twice->name), ": expected it once, found it twice");
}

absl::StatusOr<GgufDirectory> ParseGgufDirectory(std::span<const std::byte> file) {
  if (!IsGguf(file)) {
    return Malformed(
        "header field magic: expected the letters GGUF, found ",
        Quoted({reinterpret_cast<const char*>(file.data()), std::min(file.size(), kMagic.size())}));
  }
  Cursor cursor(file);
  cursor.Take(kMagic.size(), "header field magic");
  GgufDirectory gguf;
  if (absl::Status s = TakeVersion(cursor, &gguf.version); !s.ok()) return s;
  const uint64_t counts = cursor.position();
  uint64_t tensor_count = cursor.Number<uint64_t>("header field tensor_count");
  uint64_t key_count = cursor.Number<uint64_t>("header field metadata_kv_count");
  key_count =
      cursor.Fits(key_count, kLeastEntryBytes, counts + 8, "header field metadata_kv_count");
  tensor_count = cursor.Fits(tensor_count, kLeastTensorBytes, counts, "header field tensor_count");
  if (!cursor.ok()) return cursor.status();

  TakeMetadata(cursor, key_count, &gguf.metadata);
  for (uint64_t i = 0; i < tensor_count && cursor.ok(); ++i) {
    GgufTensorInfo tensor;
    if (!TakeTensor(cursor, absl::StrCat("tensor ", i, " of ", tensor_count), &tensor)) break;
    gguf.tensors.push_back(tensor);
  }
  if (!cursor.ok()) return cursor.status();
  const absl::StatusOr<uint64_t> alignment = AlignmentOf(gguf.metadata);
  if (!alignment.ok()) return alignment.status();
  gguf.alignment = *alignment;
  gguf.data_begin = (cursor.position() + *alignment - 1) / *alignment * *alignment;
  return gguf;
}

absl::StatusOr<GgufFile> ParseGguf(std::span<const std::byte> file) {
  absl::StatusOr<GgufDirectory> directory = ParseGgufDirectory(file);
  if (!directory.ok()) return directory.status();
  GgufFile gguf;
  if (absl::Status s = PlaceTensors(file, *directory, &gguf.tensors); !s.ok()) return s;
  if (absl::Status s = IndexGgufTensors(&gguf.tensors); !s.ok()) return s;
  gguf.metadata = std::move(directory->metadata);
  return gguf;
}

}  // namespace tvl
