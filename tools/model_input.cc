#include "tools/model_input.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/mapped_file.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

// What to name in place of a folder.
std::string FolderAdvice(const std::string& folder) {
  std::string first;  // by name, so that the sentence is the same everywhere
  bool weights = false;
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    const std::string name = file->path().filename().string();
    const bool model = absl::EndsWith(name, ".gguf") || absl::EndsWith(name, ".tvl");
    if (model && (first.empty() || name < first)) first = name;
    weights = weights || absl::EndsWith(name, ".safetensors") || absl::EndsWith(name, ".bin") ||
              name == "config.json";
  }
  if (!first.empty()) return absl::StrCat("name a file in it, such as ", first);
  if (weights) {
    return "it looks like a model of Hugging Face, of which convert_hf_to_gguf.py of llama.cpp "
           "makes a GGUF file";
  }
  return "name a .gguf or .tvl file";
}

// Names that browsers and download programs give to what they have not finished.
bool IsNameOfPartialDownload(const std::string& path) {
  for (const char* suffix : {".part", ".partial", ".crdownload", ".download", ".incomplete",
                             ".downloadInProgress", ".aria2", ".opdownload"}) {
    if (absl::EndsWith(path, suffix)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<MappedFile> OpenModelInput(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return MappedFile::Open(path);
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a regular file, found a directory; ", FolderAdvice(path)));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": expected a regular file, found a special file; a model is mapped into "
                     "memory, which a pipe or a device cannot be: write it to a file first"));
  }
  if (info.st_size == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the file is empty; download it again, to its end"));
  }
  return MappedFile::Open(path);
}

absl::Status WithDownloadHint(const std::string& path, const absl::Status& status) {
  if (status.ok() || !IsNameOfPartialDownload(path)) return status;
  return absl::Status(
      status.code(),
      absl::StrCat(status.message(),
                   " (the file's name says that its download has not come to its end)"));
}

}  // namespace tvl
