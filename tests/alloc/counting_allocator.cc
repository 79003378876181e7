// Definitions in the program come before those of the shared libc, for the program, for the
// libraries that are linked into it, and for libc's own calls of malloc. They pass on to glibc's
// other names for the same functions.
#include "tests/alloc/counting_allocator.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <new>

extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* old, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
}

namespace tvl {
namespace {

std::atomic<bool> g_counting = false;
std::array<std::atomic<size_t>, static_cast<size_t>(MemoryCall::kCount)> g_calls;

void Count(MemoryCall call) {
  if (g_counting.load(std::memory_order_relaxed)) ++g_calls[static_cast<size_t>(call)];
}

void* NewOrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

const char* MemoryCallName(MemoryCall call) {
  constexpr const char* kNames[] = {"malloc",         "calloc",   "realloc",      "aligned_alloc",
                                    "posix_memalign", "memalign", "operator new", "mmap"};
  return kNames[static_cast<size_t>(call)];
}

void StartCountingMemoryCalls() {
  for (auto& calls : g_calls) calls = 0;
  g_counting = true;
}

void StopCountingMemoryCalls() { g_counting = false; }

size_t MemoryCalls(MemoryCall call) { return g_calls[static_cast<size_t>(call)]; }

}  // namespace tvl

using tvl::Count;
using tvl::MemoryCall;

extern "C" {

void* malloc(size_t bytes) {
  Count(MemoryCall::kMalloc);
  return __libc_malloc(bytes);
}

void* calloc(size_t count, size_t bytes) {
  Count(MemoryCall::kCalloc);
  return __libc_calloc(count, bytes);
}

void* realloc(void* old, size_t bytes) {
  Count(MemoryCall::kRealloc);
  return __libc_realloc(old, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) {
  Count(MemoryCall::kAlignedAlloc);
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  Count(MemoryCall::kPosixMemalign);
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}

void* memalign(size_t alignment, size_t bytes) {
  Count(MemoryCall::kMemalign);
  return __libc_memalign(alignment, bytes);
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  Count(MemoryCall::kMmap);
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
}

void* mmap64(void* address, size_t bytes, int protection, int flags, int fd,
             off64_t offset) noexcept {
  return mmap(address, bytes, protection, flags, fd, offset);
}

}  // extern "C"

// The forms for arrays and the ones that do not throw come down to these by themselves.
void* operator new(size_t bytes) {
  Count(MemoryCall::kOperatorNew);
  return tvl::NewOrThrow(__libc_malloc(bytes));
}

void* operator new(size_t bytes, std::align_val_t alignment) {
  Count(MemoryCall::kOperatorNew);
  return tvl::NewOrThrow(__libc_memalign(static_cast<size_t>(alignment), bytes));
}

void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { free(memory); }
