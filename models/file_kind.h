// What a file is, by its first bytes: for errors about files that were named by mistake, and so
// that no file of somebody else's is replaced.
#ifndef TVL_MODELS_FILE_KIND_H_
#define TVL_MODELS_FILE_KIND_H_

#include <cstddef>
#include <span>
#include <string>

namespace tvl {

enum class FileKind {
  kUnknown,
  kForeign,  // known, but nothing that tvl reads or writes
  kGguf,
  kLlama2cCheckpoint,
  kLlama2cTokenizer,
  // What tvl writes.
  kTvl,
  kSession,
  kTrace,
  kReport,  // JSON of tvl bench or tvl inspect
  kTuning,
};

struct FileDescription {
  FileKind kind = FileKind::kUnknown;
  std::string what;    // "safetensors weights"; "a file of another kind" where it is not known
  std::string advice;  // what to do where a model was expected; empty where it is not known
};

// So many bytes of a file tell what it is.
inline constexpr size_t kFileKindBytes = size_t{64} << 10;

// `bytes` are all of a file or at least kFileKindBytes of it. Text of the file is within `what` at
// most in quotes and escaped.
FileDescription DescribeFile(std::span<const std::byte> bytes);

// "expected EXPECTED, found safetensors weights; ADVICE", for a file that is known and is not
// EXPECTED; empty for one that is not known and for no bytes at all.
std::string WrongFileText(const char* expected, std::span<const std::byte> bytes);

}  // namespace tvl

#endif  // TVL_MODELS_FILE_KIND_H_
