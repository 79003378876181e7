// Calls a fuzz target with files, as libFuzzer does when it is given some: for builds without it,
// and to look at one input under a debugger. Fails without files.
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "core/mapped_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    return 2;
  }
  for (const char* path : std::span(argv, static_cast<size_t>(argc)).subspan(1)) {
    const absl::StatusOr<tvl::MappedFile> file = tvl::MappedFile::Open(path);
    if (!file.ok()) {
      std::fprintf(stderr, "%s\n", std::string(file.status().message()).c_str());
      return 1;
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(file->bytes().data()),
                           file->bytes().size());
    std::printf("%s: %zu bytes\n", path, file->bytes().size());
  }
  return 0;
}
