// A session in a file: its tokens and what attention remembers of them, so that it can go on later
// with the same bits.
//
// Little-endian. A header of 64 bytes, the token ids (i32) padded with zeros to a multiple of 64
// bytes, then the parts of KvCache::ForEachPart. Meant
// for the program that wrote it, or one with the same numeric contract, on any machine; not for
// exchange between versions.
#ifndef TVL_MODELS_SESSION_FILE_H_
#define TVL_MODELS_SESSION_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kv_cache.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/token.h"

namespace tvl {

// What a session is besides its cache.
struct SessionInfo {
  uint64_t model = 0;               // TvlReader::identity()
  std::span<const TokenId> tokens;  // all that were read or written
  size_t positions = 0;             // how many of them have been run: their keys are in the cache
  uint64_t steps = 0;               // tokens drawn so far, which key the sampler's random numbers
};

// Replaces `path` as a whole or not at all. REQUIRES: positions <= tokens.size().
absl::Status SaveSession(const std::string& path, const SessionInfo& info, const KvCache& cache);

// A file that SaveSession wrote, checked as a whole: sizes and checksum. Errors name the file, what
// was expected and what was found.
class SessionFile {
 public:
  // NotFound if there is no such file, FailedPrecondition if it is of another numeric contract,
  // DataLoss if it is damaged or something else.
  static absl::StatusOr<SessionFile> Open(const std::string& path);

  // Its tokens point into this object.
  const SessionInfo& info() const { return info_; }
  KvType kv_type() const { return kv_type_; }

  // FailedPrecondition if the session is of another model than `model`, its cache of another type
  // than `cache`, or if it has more positions than `context`; DataLoss if it lacks some of them.
  absl::Status CheckFits(uint64_t model, size_t context, const KvCache& cache) const;
  // Copies keys and values. REQUIRES: CheckFits.
  void CopyTo(KvCache* cache) const;

 private:
  SessionFile(MappedFile file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  absl::Status Parse();

  MappedFile file_;
  std::string path_;
  SessionInfo info_;
  KvType kv_type_ = KvType::kF32;
  std::span<const std::byte> parts_;
};

}  // namespace tvl

#endif  // TVL_MODELS_SESSION_FILE_H_
