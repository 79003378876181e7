#include "models/tvl_writer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/thread_pool.h"
#include "models/atomic_file.h"
#include "models/checksum.h"
#include "models/tensor_writer.h"
#include "models/tvl_format.h"

namespace tvl {
namespace {

using format::DirectoryEntry;

template <typename T>
std::span<const std::byte> AsBytes(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

// What a pair gets whose matrices would have types of their own: the one with more bits.
WeightType MoreBits(WeightType a, WeightType b) {
  return PanelLines(a, kKSuperblock) >= PanelLines(b, kKSuperblock) ? a : b;
}

// In execution order.
std::vector<TensorSource> ListTensors(const ModelSource& model, const Recipe& types) {
  const ModelConfig& c = model.config;
  std::vector<TensorSource> tensors;
  const auto vector = [&](std::string name, const float* data, size_t size) {
    tensors.push_back({.name = std::move(name), .vector = {data, size}, .matrices = {}});
  };
  const auto matrix = [&](const std::string& name, TensorRole role, const MatrixSource& m) {
    const WeightType wanted = types[role].value_or(m.kept_as);
    tensors.push_back({.name = name,
                       .vector = {},
                       .matrices = {{name, &m}},
                       .type = TypeForCols(wanted, m.cols),
                       .wanted = wanted});
  };
  vector("rope.inv_freq", model.rope_inv_freq.data(), model.rope_inv_freq.size());
  if (!c.tied_classifier) matrix("token_embedding", TensorRole::kEmbedding, model.embedding);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const LayerSource& layer = model.layers[i];
    const std::string prefix = absl::StrCat("layers.", i, ".");
    vector(prefix + "attention_norm", layer.attention_norm, c.dim);
    if (c.traits().qkv_bias) {
      vector(prefix + "bq", layer.bq, c.q_dim());
      vector(prefix + "bk", layer.bk, c.kv_dim());
      vector(prefix + "bv", layer.bv, c.kv_dim());
    }
    if (c.traits().output_bias) {
      vector(prefix + "bo", layer.bo, c.dim);
      vector(prefix + "b1", layer.b1, c.hidden_dim);
      vector(prefix + "b3", layer.b3, c.hidden_dim);
      vector(prefix + "b2", layer.b2, c.dim);
    }
    if (c.traits().qk_norm) {
      vector(prefix + "q_norm", layer.q_norm, c.head_dim);
      vector(prefix + "k_norm", layer.k_norm, c.head_dim);
    }
    matrix(prefix + "wq", TensorRole::kWq, layer.wq);
    matrix(prefix + "wk", TensorRole::kWk, layer.wk);
    matrix(prefix + "wv", TensorRole::kWv, layer.wv);
    matrix(prefix + "wo", TensorRole::kWo, layer.wo);
    vector(prefix + "ffn_norm", layer.ffn_norm, c.dim);
    const WeightType wanted =
        types[TensorRole::kW13].value_or(MoreBits(layer.w1.kept_as, layer.w3.kept_as));
    tensors.push_back({.name = prefix + "w13",
                       .vector = {},
                       .matrices = {{prefix + "w1", &layer.w1}, {prefix + "w3", &layer.w3}},
                       .type = TypeForCols(wanted, layer.w1.cols),
                       .wanted = wanted});
    matrix(prefix + "w2", TensorRole::kW2, layer.w2);
  }
  vector("final_norm", model.final_norm, c.dim);
  if (c.tied_classifier) {
    matrix("token_embedding", TensorRole::kEmbedding, model.embedding);
  } else {
    matrix("classifier", TensorRole::kClassifier, model.classifier);
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
          .sliding_window = c.sliding_window,
          .attention_soft_cap = 0,
          .logit_soft_cap = 0};
}

DirectoryEntry MakeEntry(const TensorSource& tensor, uint64_t offset) {
  DirectoryEntry e = {};
  std::memcpy(e.name, tensor.name.data(), std::min(tensor.name.size(), sizeof(e.name) - 1));
  e.flags = format::kEntryRequired;
  if (tensor.matrices.empty()) {
    e.type = format::kTypeVector;
    e.rows = 1;
    e.cols = tensor.vector.size();
  } else {
    if (tensor.matrices.size() == 2) e.flags |= format::kEntryInterleaved;
    e.type = static_cast<uint32_t>(tensor.type);
    e.rows = tensor.matrices[0].source->rows;
    e.cols = tensor.matrices[0].source->cols;
  }
  e.offset = offset;
  e.bytes = format::TensorBytes(e.type, e.flags, e.rows, e.cols);
  return e;
}

// Fills the directory; `sections_end` is the end of what comes before the tensors. Returns where
// they begin.
uint64_t PlaceTensors(const std::vector<TensorSource>& tensors, uint64_t sections_end,
                      std::vector<DirectoryEntry>* directory) {
  uint64_t bytes = 0;  // of all before
  for (const TensorSource& tensor : tensors) {
    directory->push_back(MakeEntry(tensor, bytes));
    bytes += directory->back().bytes;
  }
  const uint64_t least = RoundUp(sections_end, format::kDataAlignment);
  const uint64_t begin = least + bytes < format::kLargeFileBytes
                             ? least
                             : RoundUp(sections_end, format::kLargeDataAlignment);
  for (DirectoryEntry& entry : *directory) entry.offset += begin;
  return begin;
}

// Writes the tensor, and adds what became of its matrices.
absl::Status WriteWithFates(const TensorSource& tensor, DirectoryEntry* entry, TensorWriter* writer,
                            std::vector<MatrixFate>* fates) {
  std::vector<SquaredLoss> losses(tensor.matrices.size());
  const auto exact = [&](const TensorSource::Matrix& m) {
    return m.source->IsExactIn(tensor.type);
  };
  const bool measured = !std::ranges::all_of(tensor.matrices, exact);
  absl::Status status =
      writer->Write(tensor, entry, measured ? std::span(losses) : std::span<SquaredLoss>());
  for (size_t i = 0; i < losses.size(); ++i)
    fates->push_back({tensor.matrices[i].source, tensor.type, losses[i]});
  return status;
}

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
  const std::vector<TensorSource> tensors = ListTensors(model, options.types);
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
  std::vector<DirectoryEntry> directory;
  const uint64_t data_begin = PlaceTensors(tensors, end, &directory);
  end = directory.back().offset + directory.back().bytes;
  header.file_size = end;

  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  // A disk without room is found before minutes are spent.
  if (absl::Status s = file->Reserve(header.file_size); !s.ok()) return s;
  ThreadPool calling_thread(1);
  TensorWriter::Progress progress;
  if (options.progress)
    progress = [&](uint64_t done) { return options.progress(done, end - data_begin); };
  TensorWriter data(&*file, options.pool == nullptr ? &calling_thread : options.pool, progress);
  for (size_t i = 0; i < tensors.size(); ++i) {
    absl::Status s = options.fates == nullptr
                         ? data.Write(tensors[i], &directory[i])
                         : WriteWithFates(tensors[i], &directory[i], &data, options.fates);
    if (!s.ok()) return s;
  }
  if (absl::Status s = data.Finish(); !s.ok()) return s;
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

namespace {

void AddReplaced(const TensorSource& tensor, std::vector<TvlSummary::Replaced>* all) {
  const TvlSummary::Replaced found = {tensor.wanted, tensor.type, tensor.matrices[0].source->cols};
  auto same = std::ranges::find_if(*all, [&](const TvlSummary::Replaced& replaced) {
    return replaced.wanted == found.wanted && replaced.cols == found.cols;
  });
  if (same == all->end()) same = all->insert(same, found);
  same->matrices += tensor.matrices.size();
}

}  // namespace

TvlSummary SummarizeTvl(const ModelSource& model, const Recipe& types) {
  TvlSummary summary;
  uint64_t bytes = 0, weights = 0;
  for (const TensorSource& tensor : ListTensors(model, types)) {
    if (tensor.matrices.empty()) continue;
    const DirectoryEntry entry = MakeEntry(tensor, 0);
    bytes += entry.bytes;
    weights += entry.rows * entry.cols * tensor.matrices.size();
    if (tensor.type != tensor.wanted) AddReplaced(tensor, &summary.replaced);
    for (const TensorSource::Matrix& matrix : tensor.matrices) {
      if (!IsQuantized(tensor.type) || matrix.source->data != nullptr) continue;
      ++summary.quantized_matrices;
      if (matrix.source->HasBlocksOf(tensor.type)) ++summary.kept_matrices;
    }
  }
  summary.bits_per_weight = static_cast<double>(bytes) * 8 / static_cast<double>(weights);
  return summary;
}

}  // namespace tvl
