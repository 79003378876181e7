// Files that commands write beside what they print: a model, a report, a trace. None of somebody
// else's is replaced unasked.
#ifndef TVL_TOOLS_OUTPUT_FILE_H_
#define TVL_TOOLS_OUTPUT_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/atomic_file.h"
#include "models/file_kind.h"

namespace tvl {

// OK if there is nothing at `path`, or an empty file, or a file of `kind`, which tvl has written
// itself; also for what is no file (a device, a pipe, a folder), as nothing of it would be lost.
// Anything else, also at the end of a link, is a FailedPrecondition, in one sentence that says what
// it holds; `force` allows it.
absl::Status MayReplace(const std::string& path, FileKind kind, bool force);

// Where a text of `kind` goes: to standard output if it is named "-", to a device, a pipe or a
// socket as it is written, else to an AtomicFile.
class OutputFile {
 public:
  // Errors as MayReplace and AtomicFile::Create.
  static absl::StatusOr<OutputFile> Create(const std::string& path, FileKind kind, bool force);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) = delete;
  ~OutputFile();

  bool is_standard_output() const { return path_ == "-"; }
  absl::Status Append(std::string_view text);
  // Without it, a file stays as it was.
  absl::Status Commit();

 private:
  OutputFile(std::string path, int fd, std::optional<AtomicFile> file);

  std::string path_;
  int fd_;  // of what is written directly; -1: the file
  std::optional<AtomicFile> file_;
  uint64_t size_ = 0;
};

}  // namespace tvl

#endif  // TVL_TOOLS_OUTPUT_FILE_H_
