// Structures of the .tvl file, as specified in models/TVL_FORMAT.md. Private to the reader and the
// writer, but for the version.
#ifndef TVL_MODELS_TVL_FORMAT_H_
#define TVL_MODELS_TVL_FORMAT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "core/tile.h"

namespace tvl::format {

static_assert(std::endian::native == std::endian::little,
              "the file is used in place, and it is little-endian");

inline constexpr uint8_t kMagic[8] = {0x89, 'T', 'V', 'L', '\r', '\n', 0x1a, '\n'};
inline constexpr uint16_t kMajor = 1;
inline constexpr uint16_t kMinor = 0;
inline constexpr uint32_t kDataAlignment = 65536;
// Where the tensors of a file of at least so many bytes begin, so that pages of 2 MB begin with
// them. A multiple of kDataAlignment, which is all that readers ask for.
inline constexpr uint64_t kLargeFileBytes = uint64_t{64} << 20;
inline constexpr uint64_t kLargeDataAlignment = uint64_t{2} << 20;
inline constexpr size_t kSectionAlignment = 64;
inline constexpr uint32_t kTypeVector = 64;  // beside the values of WeightType

struct Header {
  uint8_t magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t alignment;
  uint64_t file_size;
  uint64_t directory_offset;
  uint64_t config_offset;
  uint64_t tokenizer_offset;
  uint32_t entry_count;
  uint32_t reserved;
  uint64_t checksum;
};
static_assert(sizeof(Header) == 64);

struct Config {
  uint32_t config_bytes;
  uint32_t architecture;
  uint32_t dim;
  uint32_t hidden_dim;
  uint32_t n_layers;
  uint32_t n_heads;
  uint32_t n_kv_heads;
  uint32_t head_dim;
  uint32_t vocab_size;
  uint32_t context_length;
  uint32_t flags;
  float norm_epsilon;
  float attention_scale;
  uint32_t activation;
  uint32_t rope_kind;
  uint32_t rope_scaling;
  uint32_t rope_dims;
  float rope_base;
  uint32_t sliding_window;
  float attention_soft_cap;
  float logit_soft_cap;
};
static_assert(sizeof(Config) == 84);

inline constexpr uint32_t kConfigTiedClassifier = 1;

struct DirectoryEntry {
  char name[64];
  uint32_t type;
  uint32_t flags;
  uint64_t rows;
  uint64_t cols;
  uint64_t offset;
  uint64_t bytes;
  uint64_t checksum;
  uint64_t reserved[2];
};
static_assert(sizeof(DirectoryEntry) == 128);

inline constexpr uint32_t kEntryRequired = 1;
inline constexpr uint32_t kEntryInterleaved = 2;

// Bytes of a tensor's data, padding included. REQUIRES: rows and cols below 2^32 and a type of the
// format.
constexpr uint64_t TensorBytes(uint32_t type, uint32_t flags, uint64_t rows, uint64_t cols) {
  if (type == kTypeVector) return RoundUp(cols * sizeof(float), kLineBytes);
  const uint64_t panel_bytes = PanelBytes(static_cast<WeightType>(type), cols);
  if (flags & kEntryInterleaved) return 2 * RoundUp(PanelCount(rows), kPanelsPerUnit) * panel_bytes;
  return PanelCount(rows) * panel_bytes;
}

constexpr bool IsTileType(uint32_t type) {
  return type >= static_cast<uint32_t>(WeightType::kF32) &&
         type <= static_cast<uint32_t>(WeightType::kQ6K);
}

// The name of a type that the format has a number for and that this version cannot read; null for
// others.
constexpr const char* ReservedTypeName(uint32_t type) {
  constexpr uint32_t kFirst = 10;
  constexpr const char* kNames[] = {"q2k", "q3k", "iq4", "mxfp4"};
  return type >= kFirst && type - kFirst < std::size(kNames) ? kNames[type - kFirst] : nullptr;
}

}  // namespace tvl::format

#endif  // TVL_MODELS_TVL_FORMAT_H_
