// macOS has no files without a name.
#include <cerrno>

#include "models/unnamed_file.h"

namespace tvl::internal {

int CreateUnnamedFile(const char*) { return -1; }

int NameFile(int, const char*) { return ENOTSUP; }

}  // namespace tvl::internal
