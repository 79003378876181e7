#include "tools/tuning.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/mapped_file.h"
#include "models/atomic_file.h"
#include "nlohmann/json.hpp"
#include "tools/cache_folder.h"
#include "tools/machine.h"

namespace tvl {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;
constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr size_t kMaxEntries = 256;

Json ToJson(const KeptTuning& e) {
  return {{"machine", e.key.machine},    {"cores", e.key.cores},
          {"backend", e.key.backend},    {"bytes_per_token", e.key.bytes_per_token},
          {"threads", e.tuning.threads}, {"pin", e.tuning.pin}};
}

// Nullopt for what ToJson would not have written.
std::optional<KeptTuning> FromJson(const Json& json) {
  const auto field = [&](const char* name) {
    return json.is_object() ? json.value(name, Json()) : Json();
  };
  const Json machine = field("machine"), cores = field("cores"), backend = field("backend"),
             bytes = field("bytes_per_token"), threads = field("threads"), pin = field("pin");
  if (!machine.is_string() || !backend.is_string() || !pin.is_boolean()) return std::nullopt;
  if (!cores.is_number_unsigned() || !bytes.is_number_unsigned() || !threads.is_number_unsigned())
    return std::nullopt;
  KeptTuning e = {{machine.get<std::string>(), cores.get<size_t>(), backend.get<std::string>(),
                   bytes.get<uint64_t>()},
                  {threads.get<size_t>(), pin.get<bool>()}};
  if (e.tuning.threads < 1 || e.tuning.threads > e.key.cores) return std::nullopt;
  return e;
}

absl::Status NoTuningFile(const std::string& path, const char* why) {
  return absl::DataLossError(absl::StrCat(path, ": not a tuning file: ", why));
}

absl::StatusOr<std::vector<KeptTuning>> Read(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  if (file->bytes().size() > kMaxBytes) return NoTuningFile(path, "it is too large");
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return NoTuningFile(path, "it holds no JSON object");
  if (json.value("version", Json()) != kFormatVersion)
    return NoTuningFile(path, "its version is another");
  const Json list = json.value("tunings", Json());
  if (!list.is_array() || list.size() > kMaxEntries)
    return NoTuningFile(path, "it holds no list of tunings");
  std::vector<KeptTuning> entries;
  for (const Json& item : list) {
    std::optional<KeptTuning> entry = FromJson(item);
    if (!entry) return NoTuningFile(path, "a tuning in it is damaged");
    entries.push_back(*std::move(entry));
  }
  return entries;
}

absl::Status Write(const std::string& path, const std::vector<KeptTuning>& entries) {
  Json list = Json::array();
  for (const KeptTuning& entry : entries) list.push_back(ToJson(entry));
  const Json json = {{"version", kFormatVersion}, {"tunings", list}};
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = file->WriteAt(0, std::as_bytes(std::span(text))); !s.ok()) return s;
  return file->Commit();
}

}  // namespace

std::string Describe(const Tuning& tuning) {
  return absl::StrCat(tuning.threads, tuning.threads == 1 ? " thread" : " threads",
                      tuning.pin ? ", pinned" : "");
}

TuningKey TuningKeyFor(const std::string& backend, uint64_t bytes_per_token) {
  const uint64_t below = std::bit_floor(bytes_per_token);
  const uint64_t nearest = bytes_per_token - below < below / 2 ? below : 2 * below;
  return {CpuName(), CoreCount(), backend, nearest};
}

absl::StatusOr<std::string> TuningPath() {
  const absl::StatusOr<std::string> folder = CacheFolder("the tuning");
  if (!folder.ok()) return folder.status();
  return *folder + "/tuning.json";
}

absl::StatusOr<Tuning> FindTuning(const std::string& backend, uint64_t bytes_per_token) {
  const absl::StatusOr<std::string> path = TuningPath();
  if (!path.ok()) return absl::NotFoundError(path.status().message());
  const absl::StatusOr<std::vector<KeptTuning>> entries = Read(*path);
  if (!entries.ok()) return entries.status();
  // Only now, as asking for the CPU's name takes a while.
  const TuningKey key = TuningKeyFor(backend, bytes_per_token);
  for (const KeptTuning& entry : *entries) {
    if (entry.key == key) return entry.tuning;
  }
  return absl::NotFoundError(absl::StrCat(*path, ": no tuning for this machine and model"));
}

absl::StatusOr<std::vector<KeptTuning>> ListTunings() {
  const absl::StatusOr<std::string> path = TuningPath();
  if (!path.ok()) return path.status();
  absl::StatusOr<std::vector<KeptTuning>> entries = Read(*path);
  if (absl::IsNotFound(entries.status())) return std::vector<KeptTuning>();
  return entries;
}

absl::StatusOr<size_t> ForgetTunings(const std::optional<TuningKey>& key) {
  const absl::StatusOr<std::string> path = TuningPath();
  if (!path.ok()) return path.status();
  const absl::StatusOr<std::vector<KeptTuning>> entries = Read(*path);
  if (absl::IsNotFound(entries.status())) return 0;
  if (!entries.ok() && key) return entries.status();
  std::vector<KeptTuning> left;
  if (key) {
    std::ranges::copy_if(*entries, std::back_inserter(left),
                         [&](const KeptTuning& entry) { return entry.key != *key; });
    if (left.size() == entries->size()) return 0;
  }
  const size_t forgotten = entries.ok() ? entries->size() - left.size() : 0;
  if (!left.empty()) {
    if (absl::Status s = Write(*path, left); !s.ok()) return s;
    return forgotten;
  }
  if (unlink(path->c_str()) != 0 && errno != ENOENT)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", *path));
  return forgotten;
}

absl::StatusOr<std::string> SaveTuning(const TuningKey& key, const Tuning& tuning) {
  const absl::StatusOr<std::string> path = TuningPath();
  if (!path.ok()) return path.status();
  const std::string folder = std::filesystem::path(*path).parent_path().string();
  if (absl::Status s = MakeCacheFolder(folder); !s.ok()) return s;
  std::vector<KeptTuning> entries = {{key, tuning}};
  if (const auto before = Read(*path); before.ok()) {
    for (const KeptTuning& entry : *before) {
      if (entry.key != key && entries.size() < kMaxEntries) entries.push_back(entry);
    }
  }
  if (absl::Status s = Write(*path, entries); !s.ok()) return s;
  return *path;
}

}  // namespace tvl
