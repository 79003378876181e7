// The reader of GGUF files, versions 2 and 3: everything in front of the tensors' data, checked
// once.
//
//   bytes -> ParseGguf -> GgufFile -> ImportGguf (gguf.h), ImportGgufTokenizer (gguf_tokenizer.h)
#ifndef TVL_MODELS_IMPORT_GGUF_FILE_H_
#define TVL_MODELS_IMPORT_GGUF_FILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "models/import/gguf_metadata.h"
#include "models/import/gguf_type.h"

namespace tvl {

// Whether these are the first bytes of a GGUF file of any version.
bool IsGguf(std::span<const std::byte> file);

// What a file says of a tensor.
struct GgufTensorInfo {
  std::string_view name;                         // printable ASCII
  uint32_t type = 0;                             // may be one that is not known
  uint32_t n_dims = 0;                           // 1 to 4
  std::array<uint64_t, 4> shape = {1, 1, 1, 1};  // the innermost first
  uint64_t offset = 0;                           // from the beginning of the tensors' data
};

// Everything in front of the tensors' data.
struct GgufDirectory {
  uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensorInfo> tensors;  // in the order of the file
  uint64_t data_begin = 0;              // byte of the file, which may be beyond its end
  uint64_t alignment = 0;
};

// A GgufDirectory that points into `file`, which must outlive it. Errors as ParseGguf, but for
// those of types that cannot be decoded and of the tensors' extents.
absl::StatusOr<GgufDirectory> ParseGgufDirectory(std::span<const std::byte> file);

// A tensor that can be decoded.
struct GgufTensor {
  std::string_view name;  // printable ASCII
  const GgufTypeInfo* type;
  uint32_t n_dims;                  // 1 to 4
  std::array<uint64_t, 4> shape;    // the innermost first: columns, rows; 1 beyond n_dims
  std::span<const std::byte> data;  // of all rows, one after another; aligned as the file says

  uint64_t cols() const { return shape[0]; }
  uint64_t rows() const { return shape[1] * shape[2] * shape[3]; }
};

struct GgufFile {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // by name

  const GgufTensor* FindTensor(std::string_view name) const;
};

// A GgufFile that points into `file`, which is aligned to 8 bytes at least and must outlive it. No
// byte of the tensors' data is looked at. Memory is a small multiple of what the file spends on
// keys and tensors' names, whatever its counts say.
//
// InvalidArgument, one sentence that names the field or the tensor and the byte, what was expected
// and found: anything cut short, versions and types that are not known, keys and names that are
// twice there or not printable, sizes beyond the file. Callers prefix the file's name.
absl::StatusOr<GgufFile> ParseGguf(std::span<const std::byte> file);

// Sorts what `tensors` holds and finds names that are twice there: InvalidArgument.
absl::Status IndexGgufTensors(std::vector<GgufTensor>* tensors);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_FILE_H_
