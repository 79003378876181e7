#include "models/piece_writer.h"

#include <algorithm>
#include <cstring>

namespace tvl {
namespace {

// The disk is to write while the CPU packs, in runs that suit it.
constexpr uint64_t kWritebackBytes = uint64_t{8} << 20;

}  // namespace

absl::Status PieceWriter::Append(uint64_t offset, std::span<const std::byte> bytes) {
  if (piece_.size() == 0) piece_ = AlignedBuffer<std::byte>(kPieceBytes);
  if (offset != begin_ + filled_) {
    if (absl::Status s = Flush(); !s.ok()) return s;
    begin_ = writing_ = offset;
  }
  while (!bytes.empty()) {
    const size_t room = kPieceBytes - begin_ % kPieceBytes - filled_;
    const size_t taken = std::min(room, bytes.size());
    std::memcpy(piece_.data() + filled_, bytes.data(), taken);
    filled_ += taken;
    bytes = bytes.subspan(taken);
    if (taken < room) break;
    if (absl::Status s = Flush(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status PieceWriter::Flush() {
  if (filled_ == 0) return absl::OkStatus();
  const std::span<const std::byte> bytes(piece_.data(), filled_);
  if (absl::Status s = file_.WriteAt(begin_, bytes); !s.ok()) return s;
  begin_ += filled_;
  filled_ = 0;
  if (begin_ - writing_ >= kWritebackBytes) {
    file_.StartWriting(writing_, begin_ - writing_);
    writing_ = begin_;
  }
  return absl::OkStatus();
}

}  // namespace tvl
