#include <fcntl.h>

#include <cerrno>
#include <cstdint>

#include "models/file_space.h"

namespace tvl::internal {

int ReserveSpace(int fd, uint64_t bytes) {
  fstore_t space = {};
  space.fst_flags = F_ALLOCATEALL;
  space.fst_posmode = F_PEOFPOSMODE;
  space.fst_length = static_cast<off_t>(bytes);
  if (fcntl(fd, F_PREALLOCATE, &space) != -1) return 0;
  return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? errno : 0;
}

void StartWriting(int, uint64_t, uint64_t) {}

}  // namespace tvl::internal
