// A file that one process at a time holds.
#ifndef TVL_TOOLS_FILE_LOCK_H_
#define TVL_TOOLS_FILE_LOCK_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tvl {

// Held until it is destroyed or the process ends, however it does: what a killed process held is
// free. Where the file system knows no locks, everybody gets one.
class FileLock {
 public:
  // Makes the file if need be. Where another process holds it, calls waiting() once and waits.
  static absl::StatusOr<FileLock> Wait(const std::string& path,
                                       const std::function<void()>& waiting);
  // Of a file that is there. Unavailable if another process holds it.
  static absl::StatusOr<FileLock> Try(const std::string& path);

  // Of a file that is replaced as a whole while it is held (AtomicFile): what has the name before
  // that. Makes an empty one if need be, which the destructor removes unless it was replaced or
  // written; follows links. Unavailable if another process holds it.
  static absl::StatusOr<FileLock> TryItself(const std::string& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  // Whether the file has no bytes.
  bool IsEmpty() const;

  // Makes `text` what the file holds.
  absl::Status Write(std::string_view text) const;
  // Removes the file. Whoever waits for it makes another.
  void Remove() const;

 private:
  FileLock(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  static absl::StatusOr<FileLock> Open(const std::string& path, int flags);
  absl::Status Lock(int operation) const;
  bool IsInPlace() const;
  void Release();

  int fd_;
  std::string path_;
  bool made_ = false;  // by TryItself
};

}  // namespace tvl

#endif  // TVL_TOOLS_FILE_LOCK_H_
