// The types of a GGUF file's tensors: how large they are, and what becomes of them in a .tvl file.
#ifndef TVL_MODELS_IMPORT_GGUF_TYPE_H_
#define TVL_MODELS_IMPORT_GGUF_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/tile.h"

namespace tvl {

// The numbers are the file's; the names are ggml's, as they are in files' names.
enum class GgufTensorType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ40 = 2,
  kQ41 = 3,
  kQ50 = 6,
  kQ51 = 7,
  kQ80 = 8,
  kQ2K = 10,
  kQ3K = 11,
  kQ4K = 12,
  kQ5K = 13,
  kQ6K = 14,
  kIQ4NL = 20,
  kIQ4XS = 23,
  kBF16 = 30,
};

// What becomes of a tensor whose type is to be kept.
enum class GgufKeeping {
  kExact,     // every weight is the same number
  kRequants,  // other integers, searched for by models/quantize.h
};

struct GgufTypeInfo {
  GgufTensorType type;
  const char* name;
  uint32_t block_weights;  // neighbours in a row that share a scale; a row is a multiple of it
  uint32_t block_bytes;
  // The .tvl type that loses least among those of about this size.
  WeightType kept_as;
  GgufKeeping keeping;

  // REQUIRES: cols is a multiple of block_weights.
  size_t RowBytes(size_t cols) const { return cols / block_weights * block_bytes; }
};

// Null for a type that cannot be decoded.
const GgufTypeInfo* FindGgufType(uint32_t type);

// Neighbours in a row that are stored together, and what they take.
struct GgufBlock {
  uint32_t weights = 0;
  uint32_t bytes = 0;
};
// Of a type that may be one that cannot be decoded; none for one that is not known.
std::optional<GgufBlock> FindGgufBlock(uint32_t type);

// "Q4_K", "IQ2_XS (17)" or "999", for errors: the name is told where it is known.
std::string GgufTypeText(uint32_t type);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_TYPE_H_
