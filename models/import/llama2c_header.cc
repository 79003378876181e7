#include "models/import/llama2c_header.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/file_kind.h"

namespace tvl {
namespace {

constexpr uint32_t kMagic = 0x616b3432;  // "ak42" as a number: the file's first bytes are "24ka"
constexpr size_t kPaddedBytes = 256;     // of the header of versions 1 and 2
constexpr float kNormEpsilon = 1e-5f;    // fixed in llama2.c

// The fields that all versions share, in the order of the file.
struct Shapes {
  int32_t dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len;
};
static_assert(sizeof(Shapes) == 28);

template <typename... Parts>
absl::Status Malformed(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

template <typename T>
T Load(std::span<const std::byte> file, size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

// `hint` follows where a number is so far off that the file may be no checkpoint at all.
absl::Status CheckShapes(const Shapes& h, absl::string_view hint) {
  const struct {
    const char* field;
    int32_t value;
    int32_t max;
  } fields[] = {{"dim", h.dim, 1 << 17},
                {"hidden_dim", h.hidden_dim, 1 << 20},
                {"n_layers", h.n_layers, 1024},
                {"n_heads", h.n_heads, 4096},
                {"n_kv_heads", h.n_kv_heads, 4096},
                {"seq_len", h.seq_len, 1 << 24}};
  for (const auto& f : fields) {
    if (f.value >= 1 && f.value <= f.max) continue;
    return Malformed("header field ", f.field, ": expected 1 to ", f.max, ", found ", f.value,
                     hint);
  }
  if (h.dim % h.n_heads != 0 || h.dim / h.n_heads % 2 != 0) {
    return Malformed("header field n_heads: expected heads of an even number of dimensions, found ",
                     h.n_heads, " heads for dim ", h.dim);
  }
  if (h.n_heads % h.n_kv_heads != 0) {
    return Malformed("header field n_kv_heads: expected a divisor of n_heads = ", h.n_heads,
                     ", found ", h.n_kv_heads);
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelConfig> MakeConfig(const Shapes& h, bool tied) {
  ModelConfig c;
  c.dim = h.dim;
  c.hidden_dim = h.hidden_dim;
  c.n_layers = h.n_layers;
  c.n_heads = h.n_heads;
  c.n_kv_heads = h.n_kv_heads;
  c.head_dim = h.dim / h.n_heads;
  c.vocab_size = std::abs(h.vocab_size);
  c.context_length = h.seq_len;
  c.tied_classifier = tied;
  c.norm_epsilon = kNormEpsilon;
  c.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim)));
  c.rope_dims = c.head_dim;
  c.rope_base = static_cast<float>(kLlama2cRopeBase);
  if (absl::Status s = ValidateModelConfig(c); !s.ok()) return s;
  return c;
}

constexpr int64_t kMaxVocab = 1 << 24;

absl::StatusOr<Llama2cHeader> ParseVersion0(std::span<const std::byte> file) {
  if (file.size() < sizeof(Shapes)) {
    return Malformed("file size: expected at least a header of ", sizeof(Shapes), " bytes, found ",
                     file.size());
  }
  const Shapes h = Load<Shapes>(file, 0);
  if (absl::Status s = CheckShapes(h, "; is this a llama2.c checkpoint?"); !s.ok()) return s;
  const int64_t vocab = std::abs(int64_t{h.vocab_size});
  if (vocab < 1 || vocab > kMaxVocab) {
    return Malformed("header field vocab_size: expected a magnitude of 1 to ", kMaxVocab,
                     ", found ", h.vocab_size);
  }
  absl::StatusOr<ModelConfig> config = MakeConfig(h, h.vocab_size > 0);
  if (!config.ok()) return config.status();
  return Llama2cHeader{.version = 0, .config = *config, .group_size = 0, .bytes = sizeof(Shapes)};
}

// Versions 1 and 2. REQUIRES: the magic number.
absl::StatusOr<Llama2cHeader> ParseVersioned(std::span<const std::byte> file) {
  if (file.size() < kPaddedBytes) {
    return Malformed("file size: expected at least a header of ", kPaddedBytes, " bytes, found ",
                     file.size());
  }
  size_t at = sizeof(kMagic);
  const auto take = [&]<typename T>(T* value) {
    *value = Load<T>(file, at);
    at += sizeof(T);
  };
  int32_t version;
  take(&version);
  if (version != 1 && version != 2) {
    return Malformed("header field version: expected 1 or 2, found ", version,
                     version > 2 ? ", which this version of tvl does not know" : "");
  }
  Shapes h;
  take(&h);
  if (absl::Status s = CheckShapes(h, ""); !s.ok()) return s;
  if (h.vocab_size < 1 || h.vocab_size > kMaxVocab) {
    return Malformed("header field vocab_size: expected 1 to ", kMaxVocab, ", found ",
                     h.vocab_size);
  }
  uint8_t shared_classifier;
  take(&shared_classifier);
  if (shared_classifier > 1) {
    return Malformed("header field shared_classifier: expected 0 or 1, found ", shared_classifier);
  }
  int32_t group_size = 0;
  if (version == 2) {
    take(&group_size);
    if (group_size < 1) {
      return Malformed("header field group_size: expected 1 or more, found ", group_size);
    }
  }
  for (; at < kPaddedBytes; ++at) {
    if (file[at] == std::byte{0}) continue;
    return Malformed("header byte ", at, ": expected 0 after the fields of version ", version,
                     ", found ", std::to_integer<int>(file[at]));
  }
  absl::StatusOr<ModelConfig> config = MakeConfig(h, shared_classifier == 1);
  if (!config.ok()) return config.status();
  return Llama2cHeader{.version = version,
                       .config = *config,
                       .group_size = static_cast<uint32_t>(group_size),
                       .bytes = kPaddedBytes};
}

}  // namespace

absl::StatusOr<Llama2cHeader> ParseLlama2cHeader(std::span<const std::byte> file) {
  const bool versioned = file.size() >= sizeof(kMagic) && Load<uint32_t>(file, 0) == kMagic;
  absl::StatusOr<Llama2cHeader> header = versioned ? ParseVersioned(file) : ParseVersion0(file);
  if (header.ok() || DescribeFile(file).kind == FileKind::kLlama2cCheckpoint) return header;
  const std::string known = WrongFileText("a GGUF file or a checkpoint of llama2.c", file);
  return known.empty() ? header.status() : Malformed(known);
}

}  // namespace tvl
