#include "models/tvl_writer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/aligned_buffer.h"
#include "models/atomic_file.h"
#include "models/checksum.h"
#include "models/quantize.h"
#include "models/tile_packer.h"
#include "models/tvl_format.h"

namespace tvl {
namespace {

using format::DirectoryEntry;

template <typename T>
std::span<const std::byte> AsBytes(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

// One tensor to be written: a vector, a matrix, or an interleaved pair.
struct Tensor {
  std::string name;
  const float* vector = nullptr;
  uint32_t vector_size = 0;
  const MatrixSource* first = nullptr;
  const MatrixSource* second = nullptr;
};

// In execution order.
std::vector<Tensor> ListTensors(const ModelSource& model) {
  const ModelConfig& c = model.config;
  std::vector<Tensor> tensors;
  const auto vector = [&](std::string name, const float* data, size_t size) {
    tensors.push_back(
        {.name = std::move(name), .vector = data, .vector_size = static_cast<uint32_t>(size)});
  };
  const auto matrix = [&](std::string name, const MatrixSource& m,
                          const MatrixSource* second = nullptr) {
    tensors.push_back({.name = std::move(name), .first = &m, .second = second});
  };
  vector("rope.inv_freq", model.rope_inv_freq.data(), model.rope_inv_freq.size());
  if (!c.tied_classifier) matrix("token_embedding", model.embedding);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const LayerSource& layer = model.layers[i];
    const std::string prefix = absl::StrCat("layers.", i, ".");
    vector(prefix + "attention_norm", layer.attention_norm, c.dim);
    matrix(prefix + "wq", layer.wq);
    matrix(prefix + "wk", layer.wk);
    matrix(prefix + "wv", layer.wv);
    matrix(prefix + "wo", layer.wo);
    vector(prefix + "ffn_norm", layer.ffn_norm, c.dim);
    matrix(prefix + "w13", layer.w1, &layer.w3);
    matrix(prefix + "w2", layer.w2);
  }
  vector("final_norm", model.final_norm, c.dim);
  if (c.tied_classifier) {
    matrix("token_embedding", model.embedding);
  } else {
    matrix("classifier", model.classifier);
  }
  return tensors;
}

format::Config EncodeConfig(const ModelConfig& c) {
  return {.config_bytes = sizeof(format::Config),
          .architecture = static_cast<uint32_t>(c.architecture),
          .dim = c.dim,
          .hidden_dim = c.hidden_dim,
          .n_layers = c.n_layers,
          .n_heads = c.n_heads,
          .n_kv_heads = c.n_kv_heads,
          .head_dim = c.head_dim,
          .vocab_size = c.vocab_size,
          .context_length = c.context_length,
          .flags = c.tied_classifier ? format::kConfigTiedClassifier : 0,
          .norm_epsilon = c.norm_epsilon,
          .attention_scale = c.attention_scale,
          .activation = static_cast<uint32_t>(c.activation),
          .rope_kind = static_cast<uint32_t>(c.rope_kind),
          .rope_scaling = static_cast<uint32_t>(c.rope_scaling),
          .rope_dims = c.rope_dims,
          .rope_base = c.rope_base,
          .sliding_window = 0,
          .attention_soft_cap = 0,
          .logit_soft_cap = 0};
}

DirectoryEntry MakeEntry(const Tensor& tensor, WeightType type, uint64_t offset) {
  DirectoryEntry e = {};
  std::memcpy(e.name, tensor.name.data(), std::min(tensor.name.size(), sizeof(e.name) - 1));
  e.flags = format::kEntryRequired | (tensor.second != nullptr ? format::kEntryInterleaved : 0);
  e.type = tensor.vector != nullptr ? format::kTypeVector : static_cast<uint32_t>(type);
  e.rows = tensor.vector != nullptr ? 1 : tensor.first->rows;
  e.cols = tensor.vector != nullptr ? tensor.vector_size : tensor.first->cols;
  e.offset = offset;
  e.bytes = format::TensorBytes(e.type, e.flags, e.rows, e.cols);
  return e;
}

// Weight (row, col) of the source.
absl::Status Unstorable(const std::string& tensor, WeightType type, size_t row, size_t col,
                        float found) {
  return absl::InvalidArgumentError(absl::StrCat(
      "tensor ", tensor, ", row ", row, ", column ", col, ": ", WeightTypeName(type),
      " expects a finite number of magnitude up to ", LargestWeight(type), ", found ", found));
}

// Packs and writes tensors one panel at a time, so that memory stays bounded by a few megabytes.
class DataWriter {
 public:
  DataWriter(AtomicFile* file, const TvlWriteOptions& options, uint64_t total)
      : file_(file), options_(options), total_(total) {
    buffer_.reserve(kBufferBytes);
  }

  // Fills in the entry's checksum.
  absl::Status Write(const Tensor& tensor, DirectoryEntry* entry) {
    hash_.Reset();
    offset_ = entry->offset;
    absl::Status status =
        tensor.vector != nullptr ? WriteVector(tensor, *entry) : WriteMatrices(tensor, *entry);
    if (status.ok()) status = Flush();
    entry->checksum = hash_.Digest();
    return status;
  }

 private:
  static constexpr size_t kBufferBytes = size_t{4} << 20;

  absl::Status WriteVector(const Tensor& tensor, const DirectoryEntry& entry) {
    std::vector<std::byte> padded(entry.bytes);
    std::memcpy(padded.data(), tensor.vector, tensor.vector_size * sizeof(float));
    return Append(padded);
  }

  absl::Status WriteMatrices(const Tensor& tensor, const DirectoryEntry& entry) {
    const WeightType type = static_cast<WeightType>(entry.type);
    const size_t panels = PanelCount(entry.rows);
    panel_ = AlignedBuffer<std::byte>(PanelBytes(type, entry.cols));
    if (tensor.second == nullptr) return WritePanels(tensor.name, *tensor.first, type, 0, panels);
    for (size_t p = 0; p < RoundUp(panels, kPanelsPerUnit); p += kPanelsPerUnit) {
      for (const MatrixSource* matrix : {tensor.first, tensor.second}) {
        if (absl::Status s = WritePanels(tensor.name, *matrix, type, p, p + kPanelsPerUnit);
            !s.ok())
          return s;
      }
    }
    return absl::OkStatus();
  }

  absl::Status WritePanels(const std::string& name, const MatrixSource& matrix, WeightType type,
                           size_t begin, size_t end) {
    const bool decodes = matrix.data == nullptr;
    if (decodes) decoded_.resize(kPanelRows * matrix.cols);
    for (size_t p = begin; p < end; ++p) {
      const float* rows[kPanelRows];
      for (size_t r = 0; r < kPanelRows; ++r) {
        const size_t row = p * kPanelRows + r;
        float* const decoded = decodes ? decoded_.data() + r * matrix.cols : nullptr;
        rows[r] = row < matrix.rows ? matrix.Row(row, decoded) : nullptr;
        if (rows[r] == nullptr || !IsQuantized(type)) continue;
        const size_t k = FindUnstorable(type, rows[r], matrix.cols);
        if (k < matrix.cols) return Unstorable(name, type, matrix.SourceRow(row), k, rows[r][k]);
      }
      PackPanel(type, rows, matrix.cols, panel_.data());
      if (absl::Status s = Append(panel_.span()); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::Status Append(std::span<const std::byte> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return buffer_.size() >= kBufferBytes ? Flush() : absl::OkStatus();
  }

  absl::Status Flush() {
    hash_.Update(buffer_);
    if (absl::Status s = file_->WriteAt(offset_, buffer_); !s.ok()) return s;
    offset_ += buffer_.size();
    done_ += buffer_.size();
    buffer_.clear();
    if (options_.progress && !options_.progress(done_, total_))
      return absl::CancelledError("the writing was stopped");
    return absl::OkStatus();
  }

  AtomicFile* file_;
  const TvlWriteOptions& options_;
  const uint64_t total_;
  uint64_t done_ = 0;
  uint64_t offset_ = 0;
  Xxh3Stream hash_;
  std::vector<std::byte> buffer_;
  AlignedBuffer<std::byte> panel_;
  std::vector<float> decoded_;  // (16, cols): a panel of a source that is not f32
};

uint64_t HeaderChecksum(const format::Header& header, const format::Config& config,
                        const std::vector<DirectoryEntry>& directory) {
  Xxh3Stream stream;
  stream.Update(AsBytes(header).first(offsetof(format::Header, checksum)));
  stream.Update(AsBytes(config));
  stream.Update(std::as_bytes(std::span(directory)));
  return stream.Digest();
}

}  // namespace

absl::Status WriteTvl(const ModelSource& model, const std::string& tokenizer_section,
                      const std::string& path, const TvlWriteOptions& options) {
  if (absl::Status s = ValidateModelConfig(model.config); !s.ok()) return s;
  const std::vector<Tensor> tensors = ListTensors(model);
  const format::Config config = EncodeConfig(model.config);

  format::Header header = {};
  std::memcpy(header.magic, format::kMagic, sizeof(header.magic));
  header.major = format::kMajor;
  header.minor = format::kMinor;
  header.alignment = format::kDataAlignment;
  header.config_offset = sizeof(header);
  header.directory_offset =
      RoundUp(header.config_offset + sizeof(config), format::kSectionAlignment);
  header.entry_count = static_cast<uint32_t>(tensors.size());
  uint64_t end = header.directory_offset + tensors.size() * sizeof(DirectoryEntry);
  if (!tokenizer_section.empty()) {
    header.tokenizer_offset = RoundUp(end, format::kSectionAlignment);
    end = header.tokenizer_offset + tokenizer_section.size();
  }
  const uint64_t data_begin = RoundUp(end, format::kDataAlignment);
  end = data_begin;
  std::vector<DirectoryEntry> directory;
  for (const Tensor& tensor : tensors) {
    directory.push_back(MakeEntry(tensor, options.type, end));
    end += directory.back().bytes;
  }
  header.file_size = end;

  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  DataWriter data(&*file, options, end - data_begin);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (absl::Status s = data.Write(tensors[i], &directory[i]); !s.ok()) return s;
  }
  header.checksum = HeaderChecksum(header, config, directory);
  if (absl::Status s = file->WriteAt(0, AsBytes(header)); !s.ok()) return s;
  if (absl::Status s = file->WriteAt(header.config_offset, AsBytes(config)); !s.ok()) return s;
  if (absl::Status s = file->WriteAt(header.directory_offset, std::as_bytes(std::span(directory)));
      !s.ok())
    return s;
  if (!tokenizer_section.empty()) {
    const auto bytes = std::as_bytes(std::span(tokenizer_section.data(), tokenizer_section.size()));
    if (absl::Status s = file->WriteAt(header.tokenizer_offset, bytes); !s.ok()) return s;
  }
  return file->Commit();
}

}  // namespace tvl
