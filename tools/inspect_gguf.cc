#include "tools/inspect_gguf.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/in_file.h"
#include "core/kv_cache.h"
#include "core/mapped_file.h"
#include "core/quoted.h"
#include "models/engine.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_metadata.h"
#include "models/import/gguf_parts.h"
#include "models/import/gguf_tokenizer.h"
#include "models/import/gguf_type.h"
#include "nlohmann/json.hpp"
#include "tools/conversion.h"
#include "tools/model_description.h"
#include "tools/printable.h"
#include "tools/units.h"

namespace tvl {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShownElements = 4;    // of an array, in the text
constexpr size_t kJsonElements = 16;    // in JSON, where a longer one is cut
constexpr size_t kShownTextBytes = 72;  // of a string

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename T>
T Load(std::span<const std::byte> bytes) {
  T value = {};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

Json ScalarJson(GgufValueType type, std::span<const std::byte> bytes) {
  switch (type) {
    case GgufValueType::kU8:
      return Load<uint8_t>(bytes);
    case GgufValueType::kI8:
      return Load<int8_t>(bytes);
    case GgufValueType::kU16:
      return Load<uint16_t>(bytes);
    case GgufValueType::kI16:
      return Load<int16_t>(bytes);
    case GgufValueType::kU32:
      return Load<uint32_t>(bytes);
    case GgufValueType::kI32:
      return Load<int32_t>(bytes);
    case GgufValueType::kF32:
      return Load<float>(bytes);
    case GgufValueType::kBool:
      return Load<uint8_t>(bytes) != 0;
    case GgufValueType::kU64:
      return Load<uint64_t>(bytes);
    case GgufValueType::kI64:
      return Load<int64_t>(bytes);
    case GgufValueType::kF64:
      return Load<double>(bytes);
    case GgufValueType::kString:
      return std::string(TextOf(bytes));
    case GgufValueType::kArray:
      break;
  }
  return nullptr;
}

// The first elements of an array, at most so many. Those of arrays within arrays are not shown.
std::vector<Json> Elements(const GgufValue& array, size_t count) {
  std::vector<Json> elements;
  std::span<const std::byte> rest = array.bytes;
  for (size_t i = 0; i < std::min<uint64_t>(count, array.count); ++i) {
    size_t bytes = GgufScalarBytes(array.element_type);
    if (array.element_type == GgufValueType::kArray) break;
    if (array.element_type == GgufValueType::kString) {
      bytes = Load<uint64_t>(rest);
      rest = rest.subspan(sizeof(uint64_t));
    }
    elements.push_back(ScalarJson(array.element_type, rest.first(bytes)));
    rest = rest.subspan(bytes);
  }
  return elements;
}

std::string ElementText(const Json& element) {
  if (element.is_string()) return Quoted(element.get_ref<const std::string&>(), kShownTextBytes);
  if (element.is_number_float()) return absl::StrFormat("%g", element.get<double>());
  return element.dump();
}

std::string ValueText(const GgufValue& value) {
  if (value.type != GgufValueType::kArray) return ElementText(ScalarJson(value.type, value.bytes));
  std::vector<std::string> shown;
  for (const Json& element : Elements(value, kShownElements)) shown.push_back(ElementText(element));
  if (value.count > shown.size()) shown.push_back("...");
  return absl::StrCat(FormatCount(value.count), " of ", GgufValueTypeName(value.element_type),
                      value.count == 0 ? "" : ": ", absl::StrJoin(shown, ", "));
}

Json ValueJson(const GgufValue& value) {
  if (value.type != GgufValueType::kArray) return ScalarJson(value.type, value.bytes);
  const std::vector<Json> first = Elements(value, kJsonElements);
  if (first.size() == value.count) return first;
  return {
      {"count", value.count}, {"type", GgufValueTypeName(value.element_type)}, {"first", first}};
}

// The file, and those parts beside it that are there.
struct Parts {
  std::vector<MappedFile> files;  // but the first
  std::vector<GgufDirectory> directories;
  uint64_t bytes = 0;
};

absl::StatusOr<Parts> ReadParts(const std::string& path, const MappedFile& first) {
  Parts parts;
  for (const std::string& part : GgufPartPaths(path)) {
    if (part != path) {
      absl::StatusOr<MappedFile> opened = MappedFile::Open(part);
      if (!opened.ok()) return opened.status();
      parts.files.push_back(*std::move(opened));
    }
    const auto bytes = part == path ? first.bytes() : parts.files.back().bytes();
    absl::StatusOr<GgufDirectory> directory = ParseGgufDirectory(bytes);
    if (!directory.ok()) return InFile(part, directory.status());
    parts.directories.push_back(*std::move(directory));
    parts.bytes += bytes.size();
  }
  return parts;
}

// As .tvl files have it: the rows first.
std::vector<uint64_t> ShapeOf(const GgufTensorInfo& tensor) {
  std::vector<uint64_t> shape(tensor.shape.begin(), tensor.shape.begin() + tensor.n_dims);
  std::ranges::reverse(shape);
  return shape;
}

uint64_t WeightsOf(const GgufTensorInfo& tensor) {
  uint64_t weights = 1;
  for (const uint64_t size : tensor.shape) weights *= size;
  return weights;
}

// None for a type whose size is not known.
std::optional<uint64_t> BytesOf(const GgufTensorInfo& tensor) {
  const std::optional<GgufBlock> block = FindGgufBlock(tensor.type);
  if (!block) return std::nullopt;
  return WeightsOf(tensor) / block->weights * block->bytes;
}

void AddTensors(const Parts& parts, GgufInspection* out) {
  size_t width = 4, count = 0;
  uint64_t weights = 0;
  for (const GgufDirectory& part : parts.directories) {
    for (const GgufTensorInfo& t : part.tensors) {
      width = std::max(width, t.name.size());
      weights += WeightsOf(t);
      ++count;
    }
  }
  out->json["tensors"] = Json::array();
  absl::StrAppendFormat(&out->text, "\nTensors\n");
  if (count > 0) {
    absl::StrAppendFormat(&out->text, "  %-*s  %-12s  %17s  %14s\n", width, "name", "type", "shape",
                          "bytes");
  }
  for (const GgufDirectory& part : parts.directories) {
    for (const GgufTensorInfo& t : part.tensors) {
      const std::vector<uint64_t> shape = ShapeOf(t);
      const std::optional<uint64_t> bytes = BytesOf(t);
      absl::StrAppendFormat(&out->text, "  %-*s  %-12s  %17s  %14s\n", width, std::string(t.name),
                            GgufTypeText(t.type), absl::StrJoin(shape, " x "),
                            bytes ? FormatCount(*bytes) : "?");
      out->json["tensors"].push_back({{"name", std::string(t.name)},
                                      {"type", GgufTypeText(t.type)},
                                      {"shape", shape},
                                      {"bytes", bytes ? Json(*bytes) : Json(nullptr)}});
    }
  }
  absl::StrAppend(&out->text, "  ", FormatCount(count), count == 1 ? " tensor, " : " tensors, ",
                  FormatCount(weights), " weights\n");
}

void AddMetadata(const GgufMetadata& metadata, GgufInspection* out) {
  absl::StrAppend(&out->text, "\nMetadata\n");
  size_t width = 0;
  for (const auto& [key, value] : metadata.values()) width = std::max(width, key.size());
  out->json["metadata"] = Json::object();
  for (const auto& [key, value] : metadata.values()) {
    absl::StrAppendFormat(&out->text, "  %-*s  %s\n", width, std::string(key), ValueText(value));
    out->json["metadata"][std::string(key)] = ValueJson(value);
  }
}

// Why a model cannot be run, without the name of the file, which has been said.
std::string Reason(const std::string& path, const absl::Status& status) {
  absl::string_view message(status.message().data(), status.message().size());
  absl::ConsumePrefix(&message, absl::StrCat(path, ": "));
  return Printable(std::string(message));
}

// What a .tvl file of it would be like.
// What of the file is left out or read in one of several ways.
void AddNotes(const std::vector<std::string>& notes, GgufInspection* out) {
  for (const std::string& note : notes) Row(&out->text, "note", Printable(note));
  out->json["notes"] = notes;
}

void AddModel(const std::string& path, const absl::StatusOr<Conversion>& model,
              GgufInspection* out) {
  absl::StrAppend(&out->text, "\nAs tvl runs it\n");
  out->json["runs"] = model.ok();
  if (!model.ok()) {
    const std::string why = Reason(path, model.status());
    Row(&out->text, "cannot run", why);
    out->json["why_not"] = why;
    return;
  }
  DescribeConfig(model->config(), &out->text);
  Row(&out->text, "weights", model->TypesText());
  const KvType kv_type = SessionOptions().kv_type;
  const uint64_t cache =
      KvCache::BytesFor(model->config(), model->config().context_length, kv_type);
  Row(&out->text, "KV cache",
      absl::StrCat(FormatBytes(cache), " in ", KvTypeName(kv_type),
                   " for the full context, taken as it fills"));
  AddNotes(model->notes(), out);
  out->json["config"] = ConfigJson(model->config());
  out->json["weights"] = model->TypesText();
  out->json["kv_cache_bytes"] = cache;
}

void AddTokenizer(const std::string& path, const GgufMetadata& metadata, GgufInspection* out) {
  absl::StrAppend(&out->text, "\nTokenizer\n");
  Json& json = out->json["tokenizer"];
  if (!metadata.Has("tokenizer.ggml.model") && !metadata.Has("tokenizer.ggml.tokens")) {
    Row(&out->text, "kind", "none");
    json = nullptr;
    return;
  }
  const auto pieces = metadata.Strings("tokenizer.ggml.tokens");
  std::vector<std::string> notes;
  const auto tokenizer =
      pieces.ok() ? ImportGgufTokenizer(metadata, static_cast<uint32_t>(pieces->size()), &notes)
                  : pieces.status();
  if (!tokenizer.ok()) {
    const std::string why = Reason(path, tokenizer.status());
    Row(&out->text, "kind", absl::StrCat("one that tvl cannot use: ", why));
    json = {{"why_not", why}};
    return;
  }
  const std::string ends = absl::StrJoin(tokenizer->end_tokens, ", ");
  Row(&out->text, "kind", KindName(tokenizer->kind));
  Row(&out->text, "pieces", FormatCount(pieces->size()));
  Row(&out->text, "begins with",
      tokenizer->bos_id >= 0 ? absl::StrCat("token ", tokenizer->bos_id) : "nothing");
  Row(&out->text, "ends at", ends.empty() ? "no token" : absl::StrCat("token ", ends));
  // A model that can be run has told them with its own.
  if (!out->json["runs"].get<bool>()) AddNotes(notes, out);
  json = {{"kind", KindName(tokenizer->kind)},
          {"pieces", pieces->size()},
          {"bos", tokenizer->bos_id},
          {"end_tokens", tokenizer->end_tokens}};
}

}  // namespace

absl::StatusOr<GgufInspection> InspectGguf(const std::string& path, const MappedFile& file) {
  const absl::StatusOr<Parts> parts = ReadParts(path, file);
  if (!parts.ok()) return parts.status();
  const GgufDirectory& first = parts->directories.front();
  const size_t count = parts->directories.size();
  bool has_tensors = false;
  for (const GgufDirectory& part : parts->directories) has_tensors |= !part.tensors.empty();

  GgufInspection out;
  out.json = {{"inspected", path},
              {"format", "gguf"},
              {"version", first.version},
              {"parts", count},
              {"bytes", parts->bytes}};
  out.text =
      absl::StrCat(Printable(path), ": ", FormatBytes(parts->bytes), ", GGUF version ",
                   first.version, count == 1 ? "" : absl::StrCat(", in ", count, " parts"), "\n");
  if (has_tensors) {
    ConversionOptions as_source;
    as_source.in = path;
    AddModel(path, Conversion::Open(as_source), &out);
  } else {
    absl::StrAppend(
        &out.text,
        "\nThe file holds a vocabulary and no weights; 'tvl tokenize -m FILE' can use it\n");
    out.json["runs"] = false;
    out.json["why_not"] = "it holds no weights";
  }
  AddTokenizer(path, first.metadata, &out);
  AddMetadata(first.metadata, &out);
  AddTensors(*parts, &out);
  return out;
}

}  // namespace tvl
