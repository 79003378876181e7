#include "models/import/gguf_parts.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "core/in_file.h"

namespace tvl {
namespace {

absl::Status Unexpected(const std::string& path, const char* key, const absl::AlphaNum& expected,
                        const absl::AlphaNum& found) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": metadata key ", key, ": expected ", expected, ", found ", found));
}

std::string Suffix(uint32_t part, uint32_t count) {
  return absl::StrFormat("-%05d-of-%05d.gguf", part + 1, count);
}

struct Split {
  uint32_t part = 0;  // from 0
  uint32_t count = 1;
  uint32_t tensors = 0;  // of all parts; 0: not told
};

absl::StatusOr<Split> ReadSplit(const std::string& path, const GgufMetadata& metadata) {
  Split split;
  const struct {
    const char* key;
    uint32_t* value;
  } fields[] = {{"split.no", &split.part},
                {"split.count", &split.count},
                {"split.tensors.count", &split.tensors}};
  for (const auto& field : fields) {
    const absl::StatusOr<uint32_t> value = metadata.U32Or(field.key, *field.value);
    if (!value.ok()) return InFile(path, value.status());
    *field.value = *value;
  }
  // What merging the parts of a model leaves behind: 0, and the number of the first part.
  if (split.count <= 1) return Split();
  // Five digits name a part.
  if (split.count > 99999) return Unexpected(path, "split.count", "0 to 99999", split.count);
  if (split.part >= split.count)
    return Unexpected(path, "split.no", absl::StrCat("less than split.count, ", split.count),
                      split.part);
  return split;
}

// The path of the first part without what tells its number.
absl::StatusOr<std::string> StemOf(const std::string& path, const Split& split) {
  if (split.part != 0) {
    return Unexpected(
        path, "split.no",
        absl::StrCat("0, the first of ", split.count, " parts, ...", Suffix(0, split.count)),
        split.part);
  }
  const std::string suffix = Suffix(0, split.count);
  if (std::string_view(path).ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  return absl::InvalidArgumentError(absl::StrCat(path, ": expected a name that ends in ", suffix,
                                                 ", so that the other parts are found "
                                                 "beside it, found another"));
}

// Opens part i, which is not the first, and adds its tensors.
absl::Status AddPart(const std::string& path, uint32_t i, const Split& first, GgufParts* parts) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<GgufFile> gguf = ParseGguf(file->bytes());
  if (!gguf.ok()) return InFile(path, gguf.status());
  const absl::StatusOr<Split> split = ReadSplit(path, gguf->metadata);
  if (!split.ok()) return split.status();
  if (split->count != first.count)
    return Unexpected(path, "split.count", absl::StrCat(first.count, ", as the first part has"),
                      split->count);
  if (split->part != i) return Unexpected(path, "split.no", i, split->part);
  std::vector<GgufTensor>& all = parts->contents.tensors;
  all.insert(all.end(), gguf->tensors.begin(), gguf->tensors.end());
  parts->paths.push_back(path);
  parts->files.push_back(*std::move(file));
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> GgufPartPaths(const std::string& path) {
  std::vector<std::string> paths = {path};
  const size_t length = Suffix(0, 1).size(), digits = 5;
  if (path.size() < length) return paths;
  const absl::string_view suffix = absl::string_view(path).substr(path.size() - length);
  uint32_t count = 0;
  if (!absl::SimpleAtoi(suffix.substr(length - digits - std::strlen(".gguf"), digits), &count) ||
      suffix != Suffix(0, count))
    return paths;
  for (uint32_t i = 1; i < count; ++i) {
    std::string part = path.substr(0, path.size() - length) + Suffix(i, count);
    if (access(part.c_str(), F_OK) != 0) break;
    paths.push_back(std::move(part));
  }
  return paths;
}

absl::StatusOr<GgufParts> OpenGgufParts(const std::string& path, MappedFile first) {
  absl::StatusOr<GgufFile> gguf = ParseGguf(first.bytes());
  if (!gguf.ok()) return InFile(path, gguf.status());
  const absl::StatusOr<Split> split = ReadSplit(path, gguf->metadata);
  if (!split.ok()) return split.status();
  GgufParts parts;
  parts.contents = *std::move(gguf);
  parts.paths.push_back(path);
  parts.files.push_back(std::move(first));
  if (split->count > 1) {
    const absl::StatusOr<std::string> stem = StemOf(path, *split);
    if (!stem.ok()) return stem.status();
    for (uint32_t i = 1; i < split->count; ++i) {
      const std::string part = absl::StrCat(*stem, Suffix(i, split->count));
      if (absl::Status s = AddPart(part, i, *split, &parts); !s.ok()) return s;
    }
    if (absl::Status s = IndexGgufTensors(&parts.contents.tensors); !s.ok()) return InFile(path, s);
  }
  const size_t found = parts.contents.tensors.size();
  if (split->tensors != 0 && split->tensors != found)
    return Unexpected(path, "split.tensors.count", absl::StrCat(found, ", as the parts have"),
                      split->tensors);
  return parts;
}

}  // namespace tvl
