// A mapped file that is truncated while it is in use, or whose disk fails.
#ifndef TVL_TOOLS_MAPPING_FAULT_H_
#define TVL_TOOLS_MAPPING_FAULT_H_

namespace tvl {

// Reading such a file raises SIGBUS, in whatever thread. From here on that ends the program with
// one sentence that names the file, exit code 1 and no unfinished output left behind. A SIGBUS of
// any other origin does what it does by default. Files are those of core/mapped_file.h. Call once.
void HandleMappingFaults();

}  // namespace tvl

#endif  // TVL_TOOLS_MAPPING_FAULT_H_
