#include <fcntl.h>

#include <cerrno>
#include <cstdint>

#include "models/file_space.h"

namespace tvl::internal {

int ReserveSpace(int fd, uint64_t bytes) {
  int result = 0;
  do {
    result = fallocate(fd, 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return 0;
  return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? errno : 0;
}

void StartWriting(int fd, uint64_t offset, uint64_t bytes) {
  sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE);
}

}  // namespace tvl::internal
