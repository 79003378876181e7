// Counts requests for memory, of the whole program.
#ifndef TVL_TESTS_ALLOC_COUNTING_ALLOCATOR_H_
#define TVL_TESTS_ALLOC_COUNTING_ALLOCATOR_H_

#include <cstddef>

namespace tvl {

// Ways to ask for memory. A program that links this library has them all replaced by ones that
// count.
enum class MemoryCall {
  kMalloc,
  kCalloc,
  kRealloc,
  kAlignedAlloc,
  kPosixMemalign,
  kMemalign,
  kOperatorNew,
  kMmap,
  kCount,
};

const char* MemoryCallName(MemoryCall call);

// Between these two, calls of all threads are counted.
void StartCountingMemoryCalls();
void StopCountingMemoryCalls();

// Since the last start.
size_t MemoryCalls(MemoryCall call);

}  // namespace tvl

#endif  // TVL_TESTS_ALLOC_COUNTING_ALLOCATOR_H_
