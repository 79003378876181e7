#include "models/import/llama2c_tokenizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "models/file_kind.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr TokenId kUnkId = 0;
constexpr TokenId kBosId = 1;
constexpr TokenId kEosId = 2;
constexpr int64_t kSmallestByteFallback = 3 + 256;

template <typename... Parts>
absl::Status Malformed(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("llama2.c tokenizer: ", parts...));
}

// The file and how far it has been read.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> file) : file_(file) {}

  size_t position() const { return position_; }
  size_t remaining() const { return file_.size() - position_; }

  // REQUIRES: sizeof(T) <= remaining().
  template <typename T>
  T Take() {
    T value;
    std::memcpy(&value, file_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }
  // REQUIRES: count <= remaining().
  std::string_view TakeBytes(size_t count) {
    const char* begin = reinterpret_cast<const char*>(file_.data()) + position_;
    position_ += count;
    return std::string_view(begin, count);
  }

 private:
  std::span<const std::byte> file_;
  size_t position_ = 0;
};

absl::Status ReadToken(int64_t id, int64_t vocab_size, int32_t max_token_length, Cursor& cursor,
                       TokenizerData* data) {
  if (cursor.remaining() < sizeof(float) + sizeof(int32_t)) {
    return Malformed("token ", id, " of ", vocab_size, " at byte ", cursor.position(),
                     ": expected 8 bytes of score and length, found ", cursor.remaining(),
                     " before the file's end");
  }
  const size_t score_position = cursor.position();
  const float score = cursor.Take<float>();
  if (std::isnan(score)) {
    return Malformed("token ", id, ": score at byte ", score_position,
                     ": expected a number, found NaN");
  }
  const size_t length_position = cursor.position();
  const int32_t length = cursor.Take<int32_t>();
  if (length < 0 || length > max_token_length) {
    return Malformed("token ", id, ": length at byte ", length_position,
                     ": expected 0 to max_token_length, ", max_token_length, ", found ", length);
  }
  if (static_cast<size_t>(length) > cursor.remaining()) {
    return Malformed("token ", id, ": piece at byte ", cursor.position(), ": expected ", length,
                     " bytes, found ", cursor.remaining(), " before the file's end");
  }
  const size_t piece_position = cursor.position();
  const std::string_view piece = cursor.TakeBytes(static_cast<size_t>(length));
  const size_t nul = piece.find('\0');
  if (nul != std::string_view::npos) {
    return Malformed("token ", id, ": piece at byte ", piece_position, ": expected ", length,
                     " bytes other than zero, found a zero byte at byte ", piece_position + nul);
  }
  data->scores.push_back(score);
  data->pieces.emplace_back(piece);
  return absl::OkStatus();
}

absl::StatusOr<TokenizerData> ReadTokenizer(std::span<const std::byte> file, int64_t vocab_size) {
  if (vocab_size < 1 || vocab_size > std::numeric_limits<TokenId>::max()) {
    return Malformed("vocabulary size of the model: expected 1 to 2147483647, found ", vocab_size);
  }
  // Keeps the offsets of pieces within the 32 bits they have in a .tvl file.
  if (file.size() > std::numeric_limits<uint32_t>::max()) {
    return Malformed("file size: expected at most 4294967295 bytes, found ", file.size());
  }
  Cursor cursor(file);
  if (cursor.remaining() < sizeof(int32_t)) {
    return Malformed("max_token_length at byte 0: expected 4 bytes, found ", cursor.remaining());
  }
  const int32_t max_token_length = cursor.Take<int32_t>();
  if (max_token_length < 0) {
    return Malformed("max_token_length at byte 0: expected 0 or more, found ", max_token_length);
  }
  TokenizerData data;
  for (int64_t id = 0; id < vocab_size; ++id) {
    absl::Status status = ReadToken(id, vocab_size, max_token_length, cursor, &data);
    if (!status.ok()) return status;
  }
  if (cursor.remaining() != 0) {
    return Malformed("after token ", vocab_size - 1, " at byte ", cursor.position(),
                     ": expected the file's end after the model's ", vocab_size, " tokens, found ",
                     cursor.remaining(), cursor.remaining() == 1 ? " more byte" : " more bytes");
  }

  data.kind = TokenizerKind::kLlama2c;
  data.flags = kTokenizerDummyPrefix | kTokenizerAddBos;
  if (vocab_size >= kSmallestByteFallback) data.flags |= kTokenizerByteFallback;
  data.unk_id = kUnkId;
  if (kBosId < vocab_size) data.bos_id = kBosId;
  if (kEosId < vocab_size) data.eos_id = kEosId;
  for (const TokenId id : {data.bos_id, data.eos_id}) {
    if (id >= 0) data.end_tokens.push_back(id);
  }
  return data;
}

}  // namespace

absl::StatusOr<TokenizerData> ImportLlama2cTokenizer(std::span<const std::byte> file,
                                                     int64_t vocab_size) {
  absl::StatusOr<TokenizerData> data = ReadTokenizer(file, vocab_size);
  if (data.ok() || DescribeFile(file).kind == FileKind::kLlama2cTokenizer) return data;
  const std::string known = WrongFileText("a tokenizer.bin of llama2.c", file);
  return known.empty() ? data.status() : Malformed(known);
}

}  // namespace tvl
