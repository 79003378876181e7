// Bytes on their way to a file, written in whole aligned pieces of 2 MB.
#ifndef TVL_MODELS_PIECE_WRITER_H_
#define TVL_MODELS_PIECE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "core/aligned_buffer.h"
#include "models/atomic_file.h"

namespace tvl {

// What is written through the page cache stays there in the pieces in which it was written: Linux
// takes as large a folio as the piece has room for, up to 2 MB where the file's offset is a
// multiple of that. Only such a folio is mapped as one page later, and a model is used right after
// it was written. Written 256 kB at a time at odd offsets, 558 MB had no page of 2 MB; in these
// pieces, all of them (ext4, Linux 6.18). Other systems lose nothing.
class PieceWriter {
 public:
  static constexpr size_t kPieceBytes = size_t{2} << 20;

  explicit PieceWriter(AtomicFile* file) : file_(*file) {}

  // Takes the bytes that follow those of the call before, or begins anew elsewhere.
  absl::Status Append(uint64_t offset, std::span<const std::byte> bytes);
  // Writes what has not been: at the end.
  absl::Status Flush();

 private:
  AtomicFile& file_;
  AlignedBuffer<std::byte> piece_;
  uint64_t begin_ = 0;    // in the file, of what is in the piece
  size_t filled_ = 0;     // bytes of it
  uint64_t writing_ = 0;  // what is before this the disk has been told to write
};

}  // namespace tvl

#endif  // TVL_MODELS_PIECE_WRITER_H_
