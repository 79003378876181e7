#include "models/tvl_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "core/in_file.h"
#include "core/kernel.h"
#include "models/checksum.h"
#include "models/file_kind.h"
#include "models/tvl_format.h"

namespace tvl {
namespace {

using format::DirectoryEntry;

std::string Expected(absl::string_view field, uint64_t expected, uint64_t found) {
  return absl::StrCat(field, ": expected ", expected, ", found ", found);
}

// False also when offset + bytes overflows.
bool Fits(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}

// "" if nothing is.
std::string WrongWithName(const DirectoryEntry& e) {
  const size_t length = strnlen(e.name, sizeof(e.name));
  if (length == 0) return "no character";
  if (length == sizeof(e.name)) return "no zero at the end";
  for (size_t i = 0; i < sizeof(e.name); ++i) {
    const char c = e.name[i];
    if (i < length ? c > ' ' && c <= '~' : c == 0) continue;
    return absl::StrCat(static_cast<unsigned char>(c), " as byte ", i);
  }
  return "";
}

std::string LayerTensor(size_t layer, absl::string_view tensor) {
  return absl::StrCat("layers.", layer, ".", tensor);
}

}  // namespace

const char* TensorTypeName(uint32_t type) {
  if (type == format::kTypeVector) return "vector";
  return WeightTypeName(static_cast<WeightType>(type));
}

absl::Status TvlReader::Error(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ": ", what));
}

absl::StatusOr<TvlReader> TvlReader::Parse(std::span<const std::byte> bytes, std::string name) {
  TvlReader reader;
  reader.bytes_ = bytes;
  reader.name_ = std::move(name);
  if (absl::Status s = reader.ParseHeader(); !s.ok()) return s;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kLineBytes != 0) {
    return reader.Error("the bytes: expected memory on a multiple of 64, found another address");
  }
  if (absl::Status s = reader.ParseConfig(); !s.ok()) return s;
  if (absl::Status s = reader.ParseDirectory(); !s.ok()) return s;
  if (absl::Status s = reader.ParseTokenizerSection(); !s.ok()) return s;
  if (absl::Status s = reader.CheckOverlap(); !s.ok()) return s;
  if (absl::Status s = reader.BindWeights(); !s.ok()) return s;
  return reader;
}

absl::Status TvlReader::ParseHeader() {
  format::Header h;
  const size_t compared = std::min(bytes_.size(), sizeof(format::kMagic));
  if (compared == 0 || std::memcmp(bytes_.data(), format::kMagic, compared) != 0) {
    const std::string known = WrongFileText("a .tvl or GGUF file", bytes_);
    return Error(absl::StrCat(known.empty() ? "magic: not a .tvl file; use `tvl convert` to make "
                                              "one from a GGUF file or a checkpoint"
                                            : known));
  }
  if (bytes_.size() < sizeof(h))
    return Error(absl::StrCat("file size: expected a header of ", sizeof(h),
                              " bytes at least, found ", bytes_.size()));
  std::memcpy(&h, bytes_.data(), sizeof(h));
  if (h.major != format::kMajor) {
    return Error(
        absl::StrCat("major version: expected ", format::kMajor, ", found ", h.major,
                     h.major > format::kMajor ? "; a newer tvl is needed to read this file" : ""));
  }
  if (h.file_size != bytes_.size()) {
    return Error(absl::StrCat("file size: expected ", h.file_size,
                              " bytes as the header says, found ", bytes_.size(),
                              h.file_size > bytes_.size() ? "; the file is truncated" : ""));
  }
  if (h.alignment != format::kDataAlignment)
    return Error(Expected("alignment", format::kDataAlignment, h.alignment));
  if (h.reserved != 0) return Error(Expected("reserved header field", 0, h.reserved));
  const struct {
    const char* field;
    uint64_t offset;
    uint64_t bytes;
  } sections[] = {{"config_offset", h.config_offset, sizeof(uint32_t)},
                  {"directory_offset", h.directory_offset, h.entry_count * sizeof(DirectoryEntry)},
                  {"tokenizer_offset", h.tokenizer_offset, 0}};
  for (const auto& section : sections) {
    if (section.offset % format::kSectionAlignment != 0) {
      return Error(
          absl::StrCat(section.field, ": expected a multiple of 64, found ", section.offset));
    }
    if (!Fits(section.offset, section.bytes, bytes_.size())) {
      return Error(absl::StrCat(section.field, ": the section of ", section.bytes, " bytes at ",
                                section.offset, " ends after the file's ", bytes_.size(),
                                " bytes"));
    }
  }
  if (h.config_offset == 0) return Error("config_offset: expected a section, found 0");
  if (h.directory_offset == 0) return Error("directory_offset: expected a section, found 0");
  std::memcpy(&config_bytes_, bytes_.data() + h.config_offset, sizeof(uint32_t));
  if (config_bytes_ < sizeof(uint32_t) || config_bytes_ % sizeof(uint32_t) != 0 ||
      !Fits(h.config_offset, config_bytes_, bytes_.size())) {
    return Error(absl::StrCat(
        "config_bytes: expected a multiple of 4 that ends within the file, found ", config_bytes_));
  }
  Xxh3Stream stream;
  stream.Update(bytes_.first(offsetof(format::Header, checksum)));
  stream.Update(bytes_.subspan(h.config_offset, config_bytes_));
  stream.Update(bytes_.subspan(h.directory_offset, h.entry_count * sizeof(DirectoryEntry)));
  const uint64_t checksum = stream.Digest();
  if (checksum != h.checksum) {
    return Error(absl::StrFormat(
        "header checksum: expected %016x, found %016x; header, config or directory is damaged",
        h.checksum, checksum));
  }
  identity_ = checksum;
  major_ = h.major;
  minor_ = h.minor;
  directory_offset_ = h.directory_offset;
  config_offset_ = h.config_offset;
  tokenizer_offset_ = h.tokenizer_offset;
  entry_count_ = h.entry_count;
  return absl::OkStatus();
}

absl::Status TvlReader::ParseConfig() {
  format::Config c = {};
  const std::byte* section = bytes_.data() + config_offset_;
  std::memcpy(&c, section, std::min<size_t>(config_bytes_, sizeof(c)));
  for (size_t i = sizeof(c); i < config_bytes_; ++i) {
    if (section[i] != std::byte{0}) {
      return Error(
          absl::StrCat("config byte ", i,
                       ": expected 0, found a field of a newer version; a newer tvl is needed"));
    }
  }
  if ((c.flags & ~format::kConfigTiedClassifier) != 0) {
    return Error(absl::StrCat("config field flags: expected 0 or 1, found ", c.flags));
  }
  if (c.attention_soft_cap != 0)
    return Error(
        absl::StrCat("config field attention_soft_cap: expected 0, found ", c.attention_soft_cap));
  if (c.logit_soft_cap != 0)
    return Error(absl::StrCat("config field logit_soft_cap: expected 0, found ", c.logit_soft_cap));
  config_ = {.architecture = static_cast<Architecture>(c.architecture),
             .dim = c.dim,
             .hidden_dim = c.hidden_dim,
             .n_layers = c.n_layers,
             .n_heads = c.n_heads,
             .n_kv_heads = c.n_kv_heads,
             .head_dim = c.head_dim,
             .vocab_size = c.vocab_size,
             .context_length = c.context_length,
             .tied_classifier = (c.flags & format::kConfigTiedClassifier) != 0,
             .norm_epsilon = c.norm_epsilon,
             .attention_scale = c.attention_scale,
             .activation = static_cast<Activation>(c.activation),
             .rope_kind = static_cast<RopeKind>(c.rope_kind),
             .rope_scaling = static_cast<RopeScaling>(c.rope_scaling),
             .rope_dims = c.rope_dims,
             .rope_base = c.rope_base,
             .sliding_window = c.sliding_window};
  if (absl::Status s = ValidateModelConfig(config_); !s.ok()) return Error(s.message());
  return absl::OkStatus();
}

absl::Status TvlReader::ParseDirectory() {
  tensors_.reserve(entry_count_);
  for (size_t i = 0; i < entry_count_; ++i) {
    if (absl::Status s = ParseEntry(i); !s.ok()) return s;
  }
  const auto twice = [&](absl::string_view name) {
    return Error(absl::StrCat("tensor ", name, ": the name occurs twice"));
  };
  std::set<absl::string_view> ignored;
  for (const TensorInfo& t : ignored_) {
    if (!ignored.insert(t.name).second) return twice(t.name);
  }
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const absl::string_view name = tensors_[i].name;
    if (ignored.count(name) > 0 || !by_name_.emplace(name, i).second) return twice(name);
  }
  return absl::OkStatus();
}

absl::Status TvlReader::ParseEntry(size_t index) {
  DirectoryEntry e;
  const std::byte* at = bytes_.data() + directory_offset_ + index * sizeof(e);
  std::memcpy(&e, at, sizeof(e));
  const absl::string_view name(reinterpret_cast<const char*>(at), strnlen(e.name, sizeof(e.name)));
  if (const std::string wrong = WrongWithName(e); !wrong.empty()) {
    return Error(absl::StrCat(
        "directory entry ", index,
        ", field name: expected 1 to 63 printable ASCII characters and zeros, found ", wrong));
  }
  const auto error = [&](absl::string_view what) {
    return Error(absl::StrCat("tensor ", name, ", field ", what));
  };
  if ((e.flags & ~(format::kEntryRequired | format::kEntryInterleaved)) != 0) {
    return error(absl::StrCat("flags: expected 0 to 3, found ", e.flags));
  }
  const bool known = format::IsTileType(e.type) || e.type == format::kTypeVector;
  if (!known && (e.flags & format::kEntryRequired) != 0) {
    const char* reserved = format::ReservedTypeName(e.type);
    return error(absl::StrCat("type: expected 1 to 9 or 64, found ", e.type,
                              reserved == nullptr ? "" : absl::StrCat(" (", reserved, ")"),
                              ", which the file requires; a newer tvl is needed to read it"));
  }
  if (e.offset % kLineBytes != 0)
    return error(absl::StrCat("offset: expected a multiple of 64, found ", e.offset));
  if (!Fits(e.offset, e.bytes, bytes_.size())) {
    return error(absl::StrCat("bytes: ", e.bytes, " bytes at offset ", e.offset,
                              " end after the file's ", bytes_.size(), " bytes"));
  }
  const TensorInfo info = {name,
                           e.type,
                           (e.flags & format::kEntryRequired) != 0,
                           (e.flags & format::kEntryInterleaved) != 0,
                           e.rows,
                           e.cols,
                           e.offset,
                           bytes_.subspan(e.offset, e.bytes),
                           e.checksum};
  if (!known) {
    ignored_.push_back(info);
    return absl::OkStatus();
  }
  for (const uint64_t reserved : e.reserved) {
    if (reserved != 0) return error(Expected("reserved", 0, reserved));
  }
  // Within these bounds TensorBytes cannot overflow.
  constexpr uint64_t kMaxRows = uint64_t{1} << 24, kMaxCols = uint64_t{1} << 22;
  if (e.rows == 0 || e.rows > kMaxRows)
    return error(absl::StrCat("rows: expected 1 to ", kMaxRows, ", found ", e.rows));
  if (e.cols == 0 || e.cols > kMaxCols)
    return error(absl::StrCat("cols: expected 1 to ", kMaxCols, ", found ", e.cols));
  if (e.type == format::kTypeVector) {
    if (info.interleaved)
      return error(absl::StrCat("flags: expected no pair (2) of vectors, found ", e.flags));
    if (e.rows != 1) return error(absl::StrCat("rows: expected 1 in a vector, found ", e.rows));
  }
  const uint64_t expected_bytes = format::TensorBytes(e.type, e.flags, e.rows, e.cols);
  if (e.bytes != expected_bytes) return error(Expected("bytes", expected_bytes, e.bytes));
  tensors_.push_back(info);
  return absl::OkStatus();
}

absl::Status TvlReader::CheckOverlap() {
  extents_ = {{0, sizeof(format::Header), "the header"},
              {config_offset_, config_offset_ + config_bytes_, "the config section"},
              {directory_offset_, directory_offset_ + entry_count_ * sizeof(DirectoryEntry),
               "the directory"}};
  if (has_tokenizer()) {
    extents_.push_back({tokenizer_offset_, tokenizer_offset_ + tokenizer_section_.size(),
                        "the tokenizer section"});
  }
  for (const std::vector<TensorInfo>* entries : {&tensors_, &ignored_}) {
    for (const TensorInfo& t : *entries) {
      if (t.data.empty()) continue;  // of a type that is not known
      extents_.push_back({t.offset, t.offset + t.data.size(), t.name});
    }
  }
  std::stable_sort(extents_.begin(), extents_.end(),
                   [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < extents_.size(); ++i) {
    const Extent &before = extents_[i - 1], &extent = extents_[i];
    if (extent.begin < before.end) {
      return Error(absl::StrCat("offset: ", extent.what, " at ", extent.begin, " overlaps ",
                                before.what, ", which ends at ", before.end));
    }
  }
  return absl::OkStatus();
}

absl::Status TvlReader::ParseTokenizerSection() {
  if (tokenizer_offset_ == 0) return absl::OkStatus();
  absl::StatusOr<TokenizerView> view = ParseTokenizer(bytes_.subspan(tokenizer_offset_));
  if (!view.ok()) return Error(view.status().message());
  if (view->vocab_size() != config_.vocab_size) {
    return Error(Expected("tokenizer vocabulary size", config_.vocab_size, view->vocab_size()));
  }
  tokenizer_ = *view;
  tokenizer_section_ = bytes_.subspan(tokenizer_offset_, view->section_bytes());
  return absl::OkStatus();
}

absl::StatusOr<const TensorInfo*> TvlReader::Find(absl::string_view tensor, uint64_t rows,
                                                  uint64_t cols) {
  const auto it = by_name_.find(tensor);
  if (it == by_name_.end())
    return Error(absl::StrCat("tensor ", tensor, ": it is missing from the directory"));
  bound_[it->second] = true;
  const TensorInfo& info = tensors_[it->second];
  if (info.rows != rows || info.cols != cols) {
    return Error(absl::StrCat("tensor ", tensor, ": expected the shape (", rows, ", ", cols,
                              ") by the config, found (", info.rows, ", ", info.cols, ")"));
  }
  return &info;
}

absl::Status TvlReader::BindVector(absl::string_view tensor, uint64_t cols,
                                   std::span<const float>* out) {
  absl::StatusOr<const TensorInfo*> info = Find(tensor, 1, cols);
  if (!info.ok()) return info.status();
  if ((*info)->type != format::kTypeVector) {
    return Error(absl::StrCat("tensor ", tensor, ": expected the type vector, found ",
                              TensorTypeName((*info)->type)));
  }
  *out = {reinterpret_cast<const float*>((*info)->data.data()), cols};
  return absl::OkStatus();
}

absl::Status TvlReader::BindMatrix(absl::string_view tensor, uint64_t rows, uint64_t cols,
                                   TileMatrix* out) {
  absl::StatusOr<const TensorInfo*> info = Find(tensor, rows, cols);
  if (!info.ok()) return info.status();
  if (!format::IsTileType((*info)->type) || (*info)->interleaved) {
    return Error(absl::StrCat("tensor ", tensor, ": expected one matrix of tiles, found ",
                              TensorTypeName((*info)->type),
                              (*info)->interleaved ? " interleaved" : ""));
  }
  *out = DenseTileMatrix((*info)->data.data(), static_cast<WeightType>((*info)->type), rows, cols);
  return absl::OkStatus();
}

absl::Status TvlReader::BindPair(absl::string_view tensor, uint64_t rows, uint64_t cols,
                                 TilePair* out) {
  absl::StatusOr<const TensorInfo*> info = Find(tensor, rows, cols);
  if (!info.ok()) return info.status();
  if (!format::IsTileType((*info)->type) || !(*info)->interleaved) {
    return Error(absl::StrCat("tensor ", tensor,
                              ": expected an interleaved pair of tiles, found one ",
                              TensorTypeName((*info)->type)));
  }
  *out =
      InterleavedTilePair((*info)->data.data(), static_cast<WeightType>((*info)->type), rows, cols);
  return absl::OkStatus();
}

absl::Status TvlReader::BindOptionalVectors(size_t index, LayerView* layer) {
  const ModelConfig& c = config_;
  const ArchitectureTraits& traits = c.traits();
  const struct {
    bool present;
    const char* name;
    uint32_t size;
    std::span<const float>* vector;
  } vectors[] = {{traits.qkv_bias, "bq", c.q_dim(), &layer->bq},
                 {traits.qkv_bias, "bk", c.kv_dim(), &layer->bk},
                 {traits.qkv_bias, "bv", c.kv_dim(), &layer->bv},
                 {traits.output_bias, "bo", c.dim, &layer->bo},
                 {traits.output_bias, "b1", c.hidden_dim, &layer->b1},
                 {traits.output_bias, "b3", c.hidden_dim, &layer->b3},
                 {traits.output_bias, "b2", c.dim, &layer->b2},
                 {traits.qk_norm, "q_norm", c.head_dim, &layer->q_norm},
                 {traits.qk_norm, "k_norm", c.head_dim, &layer->k_norm}};
  for (const auto& v : vectors) {
    if (!v.present) continue;
    absl::Status status = BindVector(LayerTensor(index, v.name), v.size, v.vector);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status TvlReader::BindLayer(size_t index, LayerView* layer) {
  const ModelConfig& c = config_;
  const auto name = [&](absl::string_view tensor) { return LayerTensor(index, tensor); };
  if (absl::Status s = BindVector(name("attention_norm"), c.dim, &layer->attention_norm); !s.ok())
    return s;
  if (absl::Status s = BindOptionalVectors(index, layer); !s.ok()) return s;
  if (absl::Status s = BindMatrix(name("wq"), c.q_dim(), c.dim, &layer->wq); !s.ok()) return s;
  if (absl::Status s = BindMatrix(name("wk"), c.kv_dim(), c.dim, &layer->wk); !s.ok()) return s;
  if (absl::Status s = BindMatrix(name("wv"), c.kv_dim(), c.dim, &layer->wv); !s.ok()) return s;
  if (absl::Status s = BindMatrix(name("wo"), c.dim, c.q_dim(), &layer->wo); !s.ok()) return s;
  if (absl::Status s = BindVector(name("ffn_norm"), c.dim, &layer->ffn_norm); !s.ok()) return s;
  if (absl::Status s = BindPair(name("w13"), c.hidden_dim, c.dim, &layer->w13); !s.ok()) return s;
  return BindMatrix(name("w2"), c.dim, c.hidden_dim, &layer->w2);
}

absl::Status TvlReader::BindWeights() {
  weights_ = std::make_unique<View::Weights>();
  View::Weights& w = *weights_;
  w.config = config_;
  bound_.assign(tensors_.size(), false);
  w.layers.resize(config_.n_layers);
  if (absl::Status s = BindVector("rope.inv_freq", config_.rope_dims / 2, &w.rope_inv_freq);
      !s.ok())
    return s;
  for (size_t i = 0; i < w.rope_inv_freq.size(); ++i) {
    // The angle of the last position must stay within the range of the sine routine.
    const float f = w.rope_inv_freq[i];
    if (!(f >= 0.0f && f <= 32.0f))
      return Error(
          absl::StrCat("tensor rope.inv_freq: number ", i, ": expected 0 to 32, found ", f));
  }
  if (absl::Status s = BindMatrix("token_embedding", config_.vocab_size, config_.dim, &w.embedding);
      !s.ok())
    return s;
  for (size_t i = 0; i < config_.n_layers; ++i) {
    if (absl::Status s = BindLayer(i, &w.layers[i]); !s.ok()) return s;
  }
  if (absl::Status s = BindVector("final_norm", config_.dim, &w.final_norm); !s.ok()) return s;
  w.classifier = w.embedding;
  if (!config_.tied_classifier) {
    absl::Status status = BindMatrix("classifier", config_.vocab_size, config_.dim, &w.classifier);
    if (!status.ok()) return status;
  }
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (bound_[i] || !tensors_[i].required) continue;
    return Error(
        absl::StrCat("tensor ", tensors_[i].name,
                     ": the file requires it, but this version does not know what it is for"));
  }
  return absl::OkStatus();
}

uint64_t TvlReader::BytesPerToken() const {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : tensors_) {
    if (IsReadPerToken(tensor)) bytes += tensor.data.size();
  }
  return bytes;
}

absl::Status TvlReader::VerifyTensor(const TensorInfo& tensor) const {
  const uint64_t found = Xxh3(tensor.data);
  if (found == tensor.checksum) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "%s: tensor %s: expected the checksum %016x, found %016x; its data is damaged", name_,
      tensor.name, tensor.checksum, found));
}

absl::Status TvlReader::VerifyTokenizer() const {
  if (!has_tokenizer()) return absl::OkStatus();
  return InFile(name_, VerifyTokenizerChecksum(*tokenizer_));
}

absl::Status TvlReader::VerifyGaps() const {
  uint64_t end = 0;  // of what is claimed so far
  const auto check = [&](uint64_t gap_end) -> absl::Status {
    const auto gap = bytes_.subspan(end, gap_end - end);
    const auto found =
        std::find_if(gap.begin(), gap.end(), [](std::byte b) { return b != std::byte{0}; });
    if (found == gap.end()) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(name_, ": byte ", end + static_cast<uint64_t>(found - gap.begin()),
                     ": expected 0, since no section or tensor claims it, found ",
                     std::to_integer<int>(*found)));
  };
  for (const Extent& extent : extents_) {
    if (absl::Status s = check(extent.begin); !s.ok()) return s;
    end = extent.end;
  }
  return check(bytes_.size());
}

}  // namespace tvl
