#include "tools/model_cache.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/in_file.h"
#include "core/mapped_file.h"
#include "models/checksum.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_parts.h"
#include "models/tvl_format.h"
#include "models/tvl_reader.h"
#include "tools/cache_folder.h"
#include "tools/conversion.h"
#include "tools/file_lock.h"
#include "tools/model_input.h"
#include "tools/output.h"
#include "tools/printable.h"
#include "tools/units.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

constexpr char kModel[] = ".tvl", kSource[] = ".source";
constexpr size_t kHashDigits = 16;
constexpr size_t kMaxStem = 100;  // file systems allow 255 bytes for a name
constexpr size_t kMaxPath = 4096;

// An error of the cache's folder as one of the user's file, with what to do about it.
absl::Status NotKept(const std::string& path, const absl::Status& status) {
  return InFile(
      path, absl::Status(status.code(),
                         absl::StrCat(status.message(), "; TVL_CACHE_DIR can name another folder",
                                      absl::IsResourceExhausted(status)
                                          ? ", and 'tvl cache clear' makes room"
                                          : "")));
}

// By the file's magic, not its name.
bool IsGgufFile(const std::string& path) {
  struct stat info;
  // A pipe would block.
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::byte head[8];
  const ssize_t got = pread(fd, head, sizeof(head), 0);
  close(fd);
  return got > 0 && IsGguf(std::span(head, static_cast<size_t>(got)));
}

// What tells the file from others and from what it was before.
std::string FileText(const std::string& path) {
  struct stat info;
  std::error_code error;
  const auto changed = fs::last_write_time(path, error);  // to the nanosecond
  if (error || stat(path.c_str(), &info) != 0) return "none";
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ",
                      changed.time_since_epoch().count());
}

bool IsStemCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
}

// The stem of the file's name, for people to recognise, and the hash.
std::string EntryName(const std::string& path) {
  std::string key = absl::StrCat("tvl ", format::kMajor, ".", format::kMinor, ", conversion ",
                                 kConversionVersion, ", types as the source");
  for (const std::string& part : GgufPartPaths(path)) absl::StrAppend(&key, "\n", FileText(part));
  std::string stem = fs::path(path).filename().string();
  constexpr std::string_view kGguf = ".gguf";
  if (std::string_view(stem).ends_with(kGguf)) stem.resize(stem.size() - kGguf.size());
  stem.resize(std::min(stem.size(), kMaxStem));
  for (char& c : stem) c = IsStemCharacter(c) ? c : '-';
  return absl::StrFormat("%s-%016x", stem, Xxh3(std::as_bytes(std::span(key))));
}

// Whether EntryName makes such names.
bool IsEntryName(std::string_view name) {
  if (name.size() <= kHashDigits || name.size() > kMaxStem + 1 + kHashDigits) return false;
  const std::string_view stem = name.substr(0, name.size() - kHashDigits - 1);
  const std::string_view hash = name.substr(stem.size());
  return std::ranges::all_of(stem, IsStemCharacter) && hash[0] == '-' &&
         std::ranges::all_of(hash.substr(1), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

// REQUIRES: IsEntryName(name).
std::string_view HashOf(std::string_view name) { return name.substr(name.size() - kHashDigits); }

std::string InFolder(const std::string& folder, const std::string& name, const char* suffix) {
  return absl::StrCat(folder, "/", name, suffix);
}

// Of its own: what links lead to is not the cache's.
bool IsFile(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

// Leaves a file at `path`, or nothing: a link goes, and what it leads to stays.
absl::Status RemoveNonFile(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return absl::OkStatus();
  if (S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": expected a file of the cache, found a directory; remove it"));
  }
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
}

// OK if the file is whole, as far as can be told without reading the weights.
absl::StatusOr<TvlFile> OpenModelFile(const std::string& path) {
  if (!IsFile(path)) return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = TvlReader::Parse(file->bytes(), path).status(); !s.ok()) return s;
  return TvlFile{.path = path, .file = *std::move(file)};
}

// At most so much of it as a path can have; empty where it cannot be read.
std::string ReadRecord(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return "";
  std::string text(kMaxPath, '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  close(fd);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

std::string Absolute(const std::string& path) {
  std::error_code error;
  return fs::absolute(path, error).string();
}

// Whether the file is there. Where the cache can be written, its time becomes that of the last use,
// and it names the source as that did: the file may have been moved.
bool NoteUse(const std::string& record, const std::string& path) {
  if (!IsFile(record)) return false;
  if (utimensat(AT_FDCWD, record.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
    return false;
  const std::string source = Absolute(path);
  if (ReadRecord(record) == source) return true;
  if (const auto lock = FileLock::Try(record); lock.ok()) lock->Write(source).IgnoreError();
  return true;
}

// Removes what the source was converted to before it changed, unless a process is at that.
void RemoveStale(const std::string& folder, const std::string& path) {
  const absl::StatusOr<std::vector<CachedModel>> models = ListCachedModels(folder);
  if (!models.ok()) return;
  const fs::path source = fs::path(Absolute(path)).lexically_normal();
  uint64_t bytes = 0;
  for (const CachedModel& m : *models) {
    if (m.state != SourceState::kChanged || fs::path(m.source).lexically_normal() != source)
      continue;
    if (RemoveCachedModel(folder, m.name).ok()) bytes += m.bytes;
  }
  if (bytes == 0) return;
  PrintNote(absl::StrCat("tvl: removed ", FormatBytes(bytes),
                         " that the file was converted to before it, or tvl, changed\n"));
}

// Makes the model's file, and removes the record again if that fails. REQUIRES: `record` is held.
absl::Status Make(const Conversion& conversion, const std::string& path, const FileLock& record,
                  const std::string& model) {
  absl::Status status = record.Write(Absolute(path));
  if (status.ok()) {
    const absl::StatusOr<std::string> summary = conversion.Write(model);
    if (summary.ok()) {
      PrintNote(absl::StrCat("tvl: converted, for all further uses: ", *summary));
      return absl::OkStatus();
    }
    status = summary.status();
  }
  record.Remove();
  // A weight that cannot be stored, or an interrupt; all others are about the output.
  if (absl::IsDataLoss(status) || absl::IsCancelled(status)) return status;
  return NotKept(path, status);
}

// As OpenTvlFile, for an entry that is not there or damaged.
absl::StatusOr<TvlFile> MakeEntry(const std::string& path, const std::string& folder,
                                  const std::string& name) {
  // First, so that a file that is not to be converted leaves nothing behind.
  ConversionOptions as_source;
  as_source.in = path;
  const absl::StatusOr<Conversion> conversion = Conversion::Open(as_source);
  if (!conversion.ok()) return conversion.status();
  if (absl::Status s = MakeCacheFolder(folder); !s.ok()) return NotKept(path, s);
  const std::string record_path = InFolder(folder, name, kSource);
  if (absl::Status s = RemoveNonFile(record_path); !s.ok()) return InFile(path, s);
  const absl::StatusOr<FileLock> record = FileLock::Wait(record_path, [&path] {
    PrintNote(absl::StrCat("tvl: ", Printable(path),
                           ": another process is converting it: waiting for the result\n"));
  });
  if (!record.ok()) return NotKept(path, record.status());
  const std::string model = InFolder(folder, name, kModel);
  if (absl::Status s = RemoveNonFile(model); !s.ok()) {
    record->Remove();
    return InFile(path, s);
  }
  absl::StatusOr<TvlFile> found = OpenModelFile(model);
  if (found.ok()) {
    record->Write(Absolute(path)).IgnoreError();
    return found;
  }
  if (!absl::IsNotFound(found.status())) {
    PrintNote(absl::StrCat("tvl: ", Printable(std::string(found.status().message())),
                           "; this file of the cache is made anew\n"));
    unlink(model.c_str());  // first: it may take the room that the new one needs
  }
  if (absl::Status s = Make(*conversion, path, *record, model); !s.ok()) return s;
  // A download that goes on, say.
  if (HashOf(EntryName(path)) == HashOf(name)) {
    RemoveStale(folder, path);
    return OpenModelFile(model);
  }
  unlink(model.c_str());
  record->Remove();
  return absl::UnavailableError(
      absl::StrCat(path, ": the file changed while it was converted; try again when it is whole"));
}

SourceState StateOf(const std::string& source, const std::string& name) {
  if (source.empty()) return SourceState::kUnknown;
  struct stat info;
  if (stat(source.c_str(), &info) != 0) return SourceState::kGone;
  return HashOf(EntryName(source)) == HashOf(name) ? SourceState::kUnchanged
                                                   : SourceState::kChanged;
}

// None where there is no such model, or its name is not that of an entry. One without a record
// takes its room, too.
std::optional<CachedModel> FindEntry(const std::string& folder, const std::string& name) {
  if (!IsEntryName(name)) return std::nullopt;
  const std::string record = InFolder(folder, name, kSource);
  struct stat info;
  if (lstat(InFolder(folder, name, kModel).c_str(), &info) != 0 || S_ISDIR(info.st_mode))
    return std::nullopt;
  CachedModel entry = {.name = name,
                       .bytes = static_cast<uint64_t>(info.st_size),
                       .used = info.st_mtime,
                       .source = ReadRecord(record)};
  if (lstat(record.c_str(), &info) == 0) entry.used = info.st_mtime;
  entry.state = StateOf(entry.source, name);
  return entry;
}

// The names of the files in the folder that end in `suffix`, without it, in order.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder,
                                                 std::string_view suffix) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    std::string name = file->path().filename().string();
    if (!std::string_view(name).ends_with(suffix)) continue;
    name.resize(name.size() - suffix.size());
    names.push_back(std::move(name));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot read the folder ", folder));
  std::sort(names.begin(), names.end());
  return names;
}

// The name of the source's entry. It may have been converted under another name of its own, by
// which a link leads to it.
std::string FindName(const std::string& folder, const std::string& path) {
  std::string name = EntryName(path);
  if (IsFile(InFolder(folder, name, kModel))) return name;
  for (const char* suffix : {kModel, kSource}) {
    const absl::StatusOr<std::vector<std::string>> names = NamesIn(folder, suffix);
    if (!names.ok()) continue;
    for (const std::string& other : *names) {
      if (IsEntryName(other) && HashOf(other) == HashOf(name)) return other;
    }
  }
  return name;
}

}  // namespace

absl::StatusOr<TvlFile> OpenTvlFile(const std::string& path) {
  if (!IsGgufFile(path)) {
    absl::StatusOr<MappedFile> file = OpenModelInput(path);
    if (!file.ok()) return file.status();
    return TvlFile{.path = path, .file = *std::move(file)};
  }
  const absl::StatusOr<std::string> folder = CacheFolder(kCachedModels);
  if (!folder.ok()) {
    return InFile(path, absl::Status(folder.status().code(),
                                     absl::StrCat(folder.status().message(),
                                                  ", or make a .tvl file with 'tvl convert'")));
  }
  const std::string name = FindName(*folder, path);
  if (absl::StatusOr<TvlFile> model = OpenModelFile(InFolder(*folder, name, kModel));
      model.ok() && NoteUse(InFolder(*folder, name, kSource), path))
    return model;
  return MakeEntry(path, *folder, name);
}

absl::StatusOr<std::vector<CachedModel>> ListCachedModels(const std::string& folder) {
  const absl::StatusOr<std::vector<std::string>> names = NamesIn(folder, kModel);
  if (!names.ok()) return names.status();
  std::vector<CachedModel> models;
  for (const std::string& name : *names) {
    if (std::optional<CachedModel> entry = FindEntry(folder, name)) models.push_back(*entry);
  }
  return models;
}

absl::Status RemoveCachedModel(const std::string& folder, const std::string& name) {
  const std::string record_path = InFolder(folder, name, kSource);
  if (absl::Status s = RemoveNonFile(record_path); !s.ok()) return s;
  const absl::StatusOr<FileLock> record = FileLock::Try(record_path);
  // Without a record nobody is making it.
  if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
  const std::string model = InFolder(folder, name, kModel);
  const int error = unlink(model.c_str()) == 0 ? 0 : errno;
  if (error != 0 && error != ENOENT)
    return absl::ErrnoToStatus(error, absl::StrCat("cannot remove ", model));
  if (record.ok()) record->Remove();
  return error == 0 ? absl::OkStatus() : absl::NotFoundError(absl::StrCat(model, ": it is gone"));
}

void RemoveLeftovers(const std::string& folder) {
  // Records of what was never made. An entry that is whole does not count.
  if (const auto names = NamesIn(folder, kSource); names.ok()) {
    for (const std::string& name : *names) {
      struct stat info;
      if (!IsEntryName(name) || lstat(InFolder(folder, name, kModel).c_str(), &info) == 0) continue;
      RemoveCachedModel(folder, name).IgnoreError();
    }
  }
  // AtomicFile's: tvl-PROCESS-NUMBER.tmp.
  if (const auto names = NamesIn(folder, ".tmp"); names.ok()) {
    for (const std::string& name : *names) {
      const std::vector<std::string> parts = absl::StrSplit(name, '-');
      int process = 0, number = 0;
      if (parts.size() != 3 || parts[0] != "tvl" || !absl::SimpleAtoi(parts[1], &process) ||
          !absl::SimpleAtoi(parts[2], &number))
        continue;
      if (process <= 0 || kill(process, 0) == 0 || errno != ESRCH) continue;
      unlink(InFolder(folder, name, ".tmp").c_str());
    }
  }
}

}  // namespace tvl
