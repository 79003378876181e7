// Memory that the operating system maps: files, read-only, and zeroed anonymous pages.
#ifndef TVL_CORE_MAPPED_FILE_H_
#define TVL_CORE_MAPPED_FILE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace tvl {

namespace internal {

// Owns one mmap'ed range.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* address, size_t bytes) : address_(address), bytes_(bytes) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  std::byte* data() const { return static_cast<std::byte*>(address_); }
  size_t size() const { return bytes_; }

 private:
  void* address_ = nullptr;
  size_t bytes_ = 0;
};

// An entry in the list that MappedFileAt reads.
struct ListedMapping;
struct Unlist {
  void operator()(ListedMapping* entry) const;
};

}  // namespace internal

// A whole regular file, mapped read-only from offset 0. Pages come in when they are first read;
// nothing is copied.
class MappedFile {
 public:
  // NotFound, PermissionDenied or InvalidArgument (not a regular file, empty), naming the file.
  static absl::StatusOr<MappedFile> Open(const std::string& path);

  // Page-aligned. Valid as long as this object or what it was moved to.
  std::span<const std::byte> bytes() const { return {mapping_.data(), mapping_.size()}; }

  // Whether ResidentBytes tells the truth. Of a file that the user neither owns nor may write,
  // Linux says that all of it is in memory.
  bool residency_known() const { return residency_known_; }

 private:
  MappedFile(internal::Mapping mapping, const std::string& path, bool residency_known);
  internal::Mapping mapping_;
  bool residency_known_;
  std::unique_ptr<internal::ListedMapping, internal::Unlist> listed_;
};

// The path of the MappedFile that holds `address`; null if none does. Reading a page of a mapped
// file that somebody has truncated, or whose disk fails, raises SIGBUS: a program's handler can say
// with this which file it was. Safe in a signal handler. Knows the first 64 files that are mapped
// at a time.
const char* MappedFileAt(const void* address);

// Zeroed pages that take memory only once they are touched: a KV cache costs what has been written
// to it.
class ZeroPages {
 public:
  ZeroPages() = default;
  // ResourceExhausted, saying how many bytes, if the address space cannot be had.
  static absl::StatusOr<ZeroPages> Allocate(size_t bytes);

  std::byte* data() const { return mapping_.data(); }
  size_t size() const { return mapping_.size(); }

  // Lets the system use a page of 2 MB at `begin`, which is a multiple of that: for what will be
  // touched all over, or half of it. Pages that are there already are moved together at once if
  // `now`, which takes milliseconds, and otherwise when the system finds the time. No effect where
  // there are no such pages.
  static constexpr size_t kHugePageBytes = size_t{2} << 20;
  void AllowHugePage(std::byte* begin, bool now);

 private:
  explicit ZeroPages(internal::Mapping mapping) : mapping_(std::move(mapping)) {}
  internal::Mapping mapping_;
};

// Bytes of `range` (part of a mapping or of the program's image) that are in memory now, by whole
// pages.
size_t ResidentBytes(std::span<const std::byte> range);

}  // namespace tvl

#endif  // TVL_CORE_MAPPED_FILE_H_
