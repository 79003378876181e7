// Linux and macOS.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/mapped_file.h"
#include "core/page_residency.h"

namespace tvl {
namespace internal {

Mapping::Mapping(Mapping&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (address_ != nullptr) munmap(address_, bytes_);
}

// Read by signal handlers: no locks, and `begin` is what makes an entry valid.
struct ListedMapping {
  static constexpr uintptr_t kFree = 0, kBusy = 1;
  std::atomic<uintptr_t> begin{kFree};
  std::atomic<uintptr_t> end{0};
  std::atomic<const std::string*> path{nullptr};
  static_assert(std::atomic<uintptr_t>::is_always_lock_free);
};

void Unlist::operator()(ListedMapping* entry) const {
  entry->begin.store(ListedMapping::kBusy);
  delete entry->path.exchange(nullptr);
  entry->begin.store(ListedMapping::kFree);
}

namespace {

ListedMapping g_listed[64];

ListedMapping* List(const Mapping& mapping, const std::string& path) {
  for (ListedMapping& entry : g_listed) {
    uintptr_t free = ListedMapping::kFree;
    if (!entry.begin.compare_exchange_strong(free, ListedMapping::kBusy)) continue;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(mapping.data());
    entry.path.store(new std::string(path));
    entry.end.store(begin + mapping.size());
    entry.begin.store(begin);
    return &entry;
  }
  return nullptr;
}

}  // namespace
}  // namespace internal

const char* MappedFileAt(const void* address) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  for (const internal::ListedMapping& entry : internal::g_listed) {
    const uintptr_t begin = entry.begin.load();
    if (begin <= internal::ListedMapping::kBusy || at < begin || at >= entry.end.load()) continue;
    return entry.path.load()->c_str();
  }
  return nullptr;
}

namespace {

// Closes on every way out.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// Where the file's multiples of 2 MB lie on multiples of 2 MB, so that they can be mapped as one
// page each. Some file systems of Linux see to that themselves, others do not.
void* MapAligned(size_t bytes, int fd) {
  constexpr size_t kAlignment = ZeroPages::kHugePageBytes;
  if (bytes >= kAlignment) {
    // Room in which there is such a place; what is around it goes back.
    const size_t room_bytes = bytes + kAlignment;
    void* room = mmap(nullptr, room_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room != MAP_FAILED) {
      std::byte* const begin = static_cast<std::byte*>(room);
      const size_t before =
          (kAlignment - reinterpret_cast<uintptr_t>(begin) % kAlignment) % kAlignment;
      void* const mapped = mmap(begin + before, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
      if (mapped == MAP_FAILED) {
        const int error = errno;
        munmap(room, room_bytes);
        errno = error;
        return MAP_FAILED;
      }
      const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
      const size_t end = before + (bytes + page - 1) / page * page;
      if (before != 0) munmap(begin, before);
      if (end < room_bytes) munmap(begin + end, room_bytes - end);
      return mapped;
    }
  }
  return mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
}

}  // namespace

MappedFile::MappedFile(internal::Mapping mapping, const std::string& path, bool residency_known)
    : mapping_(std::move(mapping)),
      residency_known_(residency_known),
      listed_(internal::List(mapping_, path)) {}

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK so that a named pipe is refused below instead of waiting for a writer.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  struct stat info;
  if (fstat(file.fd, &info) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot stat ", path));
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a regular file, found ",
                     S_ISDIR(info.st_mode) ? "a directory" : "a special file"));
  }
  if (info.st_size == 0)
    return absl::InvalidArgumentError(absl::StrCat(path, ": the file is empty"));
  const size_t bytes = static_cast<size_t>(info.st_size);
  void* address = MapAligned(bytes, file.fd);
  if (address == MAP_FAILED && errno == ENOMEM) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": cannot map its ", bytes, " bytes: ", std::strerror(ENOMEM),
                     "; a limit on this process's memory ('ulimit -v' shows it) is too small"));
  }
  if (address == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat("cannot map ", path));
  const bool residency_known =
      geteuid() == 0 || geteuid() == info.st_uid || access(path.c_str(), W_OK) == 0;
  return MappedFile(internal::Mapping(address, bytes), path, residency_known);
}

absl::StatusOr<ZeroPages> ZeroPages::Allocate(size_t bytes) {
  if (bytes == 0) return ZeroPages();
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot allocate ", bytes, " bytes: ", std::strerror(errno)));
  }
#ifdef MADV_NOHUGEPAGE
  // A KV cache touches one line in many places far apart: with pages of 2 MB, which some systems
  // give unasked, the first token would take gigabytes.
  madvise(address, bytes, MADV_NOHUGEPAGE);
#endif
  return ZeroPages(internal::Mapping(address, bytes));
}

void ZeroPages::AllowHugePage([[maybe_unused]] std::byte* begin, [[maybe_unused]] bool now) {
#ifdef MADV_HUGEPAGE
  madvise(begin, kHugePageBytes, MADV_HUGEPAGE);
  constexpr int kCollapse = 25;  // MADV_COLLAPSE of Linux 6.1, younger than some headers
  if (now) madvise(begin, kHugePageBytes, kCollapse);
#endif
}

size_t ResidentBytes(std::span<const std::byte> range) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const std::span<const std::byte> pages = WholePages(range);
#ifdef __APPLE__
  using PageState = char;
#else
  using PageState = unsigned char;
#endif
  constexpr size_t kPagesAtATime = 4096;
  PageState state[kPagesAtATime];
  size_t resident = 0;
  for (size_t at = 0; at < pages.size(); at += kPagesAtATime * page) {
    const size_t part = std::min(pages.size() - at, kPagesAtATime * page);
    if (mincore(const_cast<std::byte*>(pages.data() + at), part, state) != 0) return resident;
    for (size_t i = 0; i < part / page; ++i) resident += (state[i] & 1) ? page : 0;
  }
  return std::min(resident, range.size());
}

}  // namespace tvl
