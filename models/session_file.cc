#include "models/session_file.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "core/kernel.h"
#include "core/kv_cache.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/tile.h"
#include "core/token.h"
#include "models/atomic_file.h"
#include "models/checksum.h"

namespace tvl {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

constexpr uint8_t kMagic[8] = {0x89, 'T', 'V', 'S', '\r', '\n', 0x1a, '\n'};
constexpr uint32_t kVersion = 1;

struct Header {
  uint8_t magic[8];
  uint32_t version;
  uint32_t contract;
  uint64_t model;
  uint32_t kv_type;
  uint32_t tokens;
  uint32_t positions;
  uint32_t reserved;
  uint64_t steps;
  uint64_t file_size;
  uint64_t checksum;  // XXH3 of all that follows and of the header with this as 0
};
static_assert(sizeof(Header) == 64);

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

absl::Status Damaged(absl::string_view path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(
      path, ": ", what, "; the session is lost: name another file, or replace it with --force"));
}

}  // namespace

absl::Status SaveSession(const std::string& path, const SessionInfo& info, const KvCache& cache) {
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.contract = kContractVersion;
  header.model = info.model;
  header.kv_type = static_cast<uint32_t>(cache.type());
  header.tokens = static_cast<uint32_t>(info.tokens.size());
  header.positions = static_cast<uint32_t>(info.positions);
  header.steps = info.steps;

  const std::span<const std::byte> tokens = std::as_bytes(info.tokens);
  const std::vector<std::byte> padding(RoundUp(tokens.size(), kLineBytes) - tokens.size());
  uint64_t size = sizeof(Header) + tokens.size() + padding.size();
  cache.ForEachPart(info.positions, [&](std::span<const std::byte> part) { size += part.size(); });
  header.file_size = size;

  Xxh3Stream checksum;
  checksum.Update(BytesOf(header));
  uint64_t at = sizeof(Header);
  absl::Status status = absl::OkStatus();
  const auto write = [&](std::span<const std::byte> bytes) {
    if (status.ok()) status = file->WriteAt(at, bytes);
    checksum.Update(bytes);
    at += bytes.size();
  };
  write(tokens);
  write(padding);
  cache.ForEachPart(info.positions, write);
  header.checksum = checksum.Digest();
  if (status.ok()) status = file->WriteAt(0, BytesOf(header));
  if (status.ok()) status = file->Commit();
  return status;
}

absl::StatusOr<SessionFile> SessionFile::Open(const std::string& path) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  SessionFile session(*std::move(file), path);
  if (absl::Status s = session.Parse(); !s.ok()) return s;
  return session;
}

absl::Status SessionFile::Parse() {
  const std::span<const std::byte> bytes = file_.bytes();
  Header header = {};
  std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof(header)));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return absl::DataLossError(
        absl::StrCat(path_,
                     ": expected a session that tvl wrote, found another kind of file; name "
                     "another file, or replace this one with --force"));
  }
  if (bytes.size() < sizeof(Header))
    return Damaged(path_, absl::StrCat("expected a header of 64 bytes, found ", bytes.size()));
  if (header.version != kVersion || header.contract != kContractVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": expected a session of format ", kVersion, " and numeric contract ",
                     kContractVersion, ", found format ", header.version, " and contract ",
                     header.contract, "; use the tvl that wrote it, or begin another"));
  }
  if (header.file_size != bytes.size()) {
    return Damaged(path_,
                   absl::StrCat("expected ", header.file_size, " bytes, found ", bytes.size()));
  }
  const uint64_t expected = std::exchange(header.checksum, 0);
  Xxh3Stream checksum;
  checksum.Update(BytesOf(header));
  checksum.Update(bytes.subspan(sizeof(Header)));
  if (checksum.Digest() != expected) {
    return Damaged(path_, absl::StrFormat("checksum: expected %016x, found %016x", expected,
                                          checksum.Digest()));
  }
  const uint64_t token_bytes = RoundUp(uint64_t{header.tokens} * sizeof(TokenId), kLineBytes);
  const bool known = std::ranges::any_of(
      kKvTypes, [&](KvType type) { return header.kv_type == static_cast<uint32_t>(type); });
  if (!known || header.positions > header.tokens || token_bytes > bytes.size() - sizeof(Header))
    return Damaged(path_, "expected a header that agrees with the file, found one that does not");
  kv_type_ = static_cast<KvType>(header.kv_type);
  info_.model = header.model;
  info_.tokens = {reinterpret_cast<const TokenId*>(bytes.data() + sizeof(Header)), header.tokens};
  info_.positions = header.positions;
  info_.steps = header.steps;
  parts_ = bytes.subspan(sizeof(Header) + token_bytes);
  return absl::OkStatus();
}

absl::Status SessionFile::CheckFits(uint64_t model, size_t context, const KvCache& cache) const {
  const auto refused = [&](absl::string_view what) {
    return absl::FailedPreconditionError(absl::StrCat(path_, ": ", what));
  };
  if (info_.model != model) {
    return refused(
        absl::StrFormat("expected a session of this model (%016x), found one of another (%016x); "
                        "use that model, or "
                        "begin another session",
                        model, info_.model));
  }
  if (kv_type_ != cache.type()) {
    return refused(absl::StrCat("expected a KV cache of ", KvTypeName(cache.type()), ", found ",
                                KvTypeName(kv_type_), "; use --kv-dtype ", KvTypeName(kv_type_)));
  }
  if (info_.positions > context) {
    return refused(absl::StrCat("expected at most ", context, " positions, found ", info_.positions,
                                "; use a larger --context"));
  }
  size_t size = 0;
  cache.ForEachPart(info_.positions, [&](std::span<std::byte> part) { size += part.size(); });
  if (size != parts_.size())
    return Damaged(path_,
                   absl::StrCat("expected ", size, " bytes of cache, found ", parts_.size()));
  return absl::OkStatus();
}

void SessionFile::CopyTo(KvCache* cache) const {
  const std::byte* from = parts_.data();
  cache->ForEachPart(info_.positions, [&](std::span<std::byte> part) {
    std::memcpy(part.data(), from, part.size());
    from += part.size();
  });
}

}  // namespace tvl
