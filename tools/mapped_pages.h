// In which pages a model's file is mapped, and what small ones cost.
//
// The processor finds a page of 2 MB with a few entries of its translation tables, and 512 pages of
// 4 KB with as many more; streaming weights it pays for that at every page. Linux maps a file by 2
// MB where its page cache holds it in pieces of that size: as it does of a file that was read ahead
// in large runs, and of one that was written in them (models/piece_writer.h), on file systems that
// know such pieces. What another program has copied may lie in small ones. macOS has pages of 16
// KiB for everything: there is nothing to look at, and nothing to do.
#ifndef TVL_TOOLS_MAPPED_PAGES_H_
#define TVL_TOOLS_MAPPED_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/thread_pool.h"

namespace tvl {

struct MappedPages {
  uint64_t bytes = 0;  // in memory, by whole pieces of 2 MB; 0 where this is not known
  uint64_t large = 0;  // of these mapped by 2 MB

  bool small() const { return large < bytes / 10 * 9; }
};

// Maps what of `file` (a mapping) is in memory, reads nothing from the disk, and looks. Files of
// less than 64 MB are not looked at: caches hold them, and their tensors begin anywhere.
MappedPages LookAtPages(std::span<const std::byte> file);

// How fast the threads of `pool` read what is in memory of `file`, 256 MB of it at most, by how
// fast they read as much in pages of 2 MB. 1 where no such memory can be had. Takes some 0.1 s.
double RateBesideLargePages(std::span<const std::byte> file, ThreadPool& pool);

// Right after the program has written the file, in `seconds`, and before anybody maps it: if its
// pages are small, drops them from memory, so that it is read anew, in large ones where the file
// system knows them. Not where that reading would take 5 s and more, judged by the writing, nor
// over a network.
void MendPages(const std::string& path, double seconds);

// "mapped by 2 MB", "32 MB of 740 MB mapped by 2 MB, the rest by 4 KB". Empty where it is not
// known.
std::string PagesText(const MappedPages& pages);
// What small pages cost and what to do, in sentences. `rate` is RateBesideLargePages.
std::string SmallPagesText(const std::string& path, double rate);

}  // namespace tvl

#endif  // TVL_TOOLS_MAPPED_PAGES_H_
