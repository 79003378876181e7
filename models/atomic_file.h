// A file that appears whole or not at all.
#ifndef TVL_MODELS_ATOMIC_FILE_H_
#define TVL_MODELS_ATOMIC_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tvl {

// Writes to a temporary file; Commit makes it durable (fsync) and puts it in the place of the
// target. Without Commit nothing is left behind and an older target stays as it was. Errors name
// the target.
//
// Where the system can, the temporary file has no name until Commit, so that even a process that is
// killed leaves nothing. Elsewhere it lies beside the target as tvl-PROCESS-NUMBER.tmp; what a
// killed process leaves of it is in nobody's way and can be removed.
class AtomicFile {
 public:
  // InvalidArgument if the target exists and is not a regular file (a device, a directory, a pipe).
  // A symbolic link is followed: the file it points to is replaced.
  static absl::StatusOr<AtomicFile> Create(const std::string& target);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) = delete;
  ~AtomicFile();

  // Writes all bytes at `offset`; gaps read as zero. ResourceExhausted when the disk is full.
  absl::Status WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  // Sets the size, e.g. to end with zeros.
  absl::Status Resize(uint64_t bytes);
  // Sets aside the space of a file of so many bytes, where the system can. ResourceExhausted where
  // there is none.
  absl::Status Reserve(uint64_t bytes);
  // Has the disk begin with what was written there, where the system can, so that Commit waits for
  // less.
  void StartWriting(uint64_t offset, uint64_t bytes);
  absl::Status Commit();

 private:
  AtomicFile(int fd, std::string target, std::unique_ptr<const std::string> temporary);
  absl::Status Rename();
  absl::Status Error(int error, const char* what) const;

  int fd_;
  std::string target_;
  // Null while it has no name, and once renamed.
  std::unique_ptr<const std::string> temporary_;
};

// Removes the temporary files of every AtomicFile that has a name and has not been committed, for a
// program that must end at once. Safe in a signal handler. Knows the first 16 that are open at a
// time.
void RemoveUnfinishedFiles();

}  // namespace tvl

#endif  // TVL_MODELS_ATOMIC_FILE_H_
