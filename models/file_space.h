// When and where a file gets its place on the disk, for AtomicFile. One implementation per system.
#ifndef TVL_MODELS_FILE_SPACE_H_
#define TVL_MODELS_FILE_SPACE_H_

#include <cstdint>

namespace tvl::internal {

// Sets aside space for the first `bytes` of an empty file, whose size may become that. 0, also
// where the system or the file system cannot, or an errno: ENOSPC, EDQUOT, EFBIG.
int ReserveSpace(int fd, uint64_t bytes);

// Has the disk begin to write this part of the file. Without effect where a program cannot ask.
void StartWriting(int fd, uint64_t offset, uint64_t bytes);

}  // namespace tvl::internal

#endif  // TVL_MODELS_FILE_SPACE_H_
