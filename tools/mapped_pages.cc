#include "tools/mapped_pages.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/huge_pages.h"
#include "core/mapped_file.h"
#include "core/page_residency.h"
#include "tools/printable.h"
#include "tools/read_bandwidth.h"
#include "tools/units.h"

namespace tvl {
namespace {

constexpr size_t kPage = HugePages::kPageBytes;
constexpr size_t kLeastFile = size_t{64} << 20;

// The whole pieces of 2 MB of a mapping that are in memory, which touching their first byte maps.
std::vector<std::span<const std::byte>> ResidentPieces(std::span<const std::byte> file) {
  std::vector<std::span<const std::byte>> pieces;
  const size_t before = -reinterpret_cast<uintptr_t>(file.data()) % kPage;
  for (size_t at = before; at + kPage <= file.size(); at += kPage) {
    const std::span<const std::byte> piece = file.subspan(at, kPage);
    if (ResidentBytes(piece) != kPage) continue;
    static_cast<void>(*static_cast<const volatile std::byte*>(piece.data()));
    pieces.push_back(piece);
  }
  return pieces;
}

}  // namespace

MappedPages LookAtPages(std::span<const std::byte> file) {
  // Where the system's pages are larger than 4 KB, its huge pages are not of 2 MB.
  constexpr size_t kSmallPage = 4096;
  if (file.size() < kLeastFile || !CountsHugePages() ||
      static_cast<size_t>(sysconf(_SC_PAGESIZE)) != kSmallPage)
    return {};
  const uint64_t bytes = ResidentPieces(file).size() * kPage;
  return {.bytes = bytes, .large = std::min<uint64_t>(bytes, HugePageBytes(file))};
}

double RateBesideLargePages(std::span<const std::byte> file, ThreadPool& pool) {
  constexpr size_t kMostPieces = (size_t{256} << 20) / kPage;
  std::vector<std::span<const std::byte>> pieces = ResidentPieces(file);
  if (pieces.size() > kMostPieces) pieces.resize(kMostPieces);
  if (pieces.empty()) return 1;
  const absl::StatusOr<MachineRead> machine = MachineRead::Create(pieces.size() * kPage, pool);
  if (!machine.ok() || machine->bytes() != pieces.size() * kPage || !machine->in_huge_pages())
    return 1;
  const auto read_file = [&] {
    const Stopwatch watch;
    pool.Run([&](const ThreadPool::Worker& worker) {
      const auto [begin, end] = worker.Share(pieces.size());
      for (size_t i = begin; i < end; ++i) LoadAndAdd<ReadLoop::kAhead>(pieces[i]);
    });
    return watch.seconds();
  };
  // By turns; the first pass maps what is not mapped.
  read_file();
  double file_seconds = std::numeric_limits<double>::infinity(), memory_seconds = file_seconds;
  for (int pass = 0; pass < 3; ++pass) {
    file_seconds = std::min(file_seconds, read_file());
    memory_seconds = std::min(memory_seconds, machine->ReadOnce(pool));
  }
  return std::min(1.0, memory_seconds / file_seconds);
}

void MendPages(const std::string& path, double seconds) {
  constexpr double kMostSeconds = 5;
  if (seconds >= kMostSeconds || IsOnNetwork(path)) return;
  {
    const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
    if (!file.ok() || !LookAtPages(file->bytes()).small()) return;
  }
  // What cannot be dropped is as good as it was.
  DropCachedPages(path).IgnoreError();
}

std::string PagesText(const MappedPages& pages) {
  if (pages.bytes == 0) return "";
  if (!pages.small()) return "mapped by 2 MB";
  return absl::StrCat(FormatBytes(pages.large), " of ", FormatBytes(pages.bytes),
                      " mapped by 2 MB, the rest by 4 KB");
}

std::string SmallPagesText(const std::string& path, double rate) {
  const std::string name = Printable(path);
  return absl::StrCat(
      name, " is mapped in small pages, through which this machine reads it ",
      rate > 0.97 ? "as fast as through large ones"
                  : absl::StrFormat("at %.0f%% of its speed", 100 * rate),
      ". Another program may have written it, or the file system knows no large pages. Read from "
      "the disk anew it may get them ('dd if=",
      name, " iflag=nocache count=0', then run again); --huge-pages makes a copy in such.");
}

}  // namespace tvl
