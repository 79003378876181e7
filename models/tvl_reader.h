// Reads a .tvl file in place: everything is checked once, here, and what comes out are typed views.
#ifndef TVL_MODELS_TVL_READER_H_
#define TVL_MODELS_TVL_READER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/model_config.h"
#include "core/model_view.h"
#include "core/tensor_view.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// One directory entry, as parsed.
struct TensorInfo {
  absl::string_view name;  // points into the file
  uint32_t type = 0;       // as in TVL_FORMAT.md
  bool required = false;
  bool interleaved = false;
  uint64_t rows = 0;
  uint64_t cols = 0;
  uint64_t offset = 0;
  std::span<const std::byte> data;
  uint64_t checksum = 0;
};

// "f32", "vector" ... for printing.
const char* TensorTypeName(uint32_t type);

// A parsed file. Immutable; safe to share between threads. Points into the bytes that it was made
// from, which must outlive it.
class TvlReader {
 public:
  // Parses the bytes of a whole file, 64-byte aligned. `name` (usually the path) begins every
  // error, which names the field, what was expected and what was found. Costs time in proportion to
  // the directory, not to the weights; the checksums of tensors and tokenizer are not looked at
  // (see Verify).
  static absl::StatusOr<TvlReader> Parse(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  uint16_t major() const { return major_; }
  uint16_t minor() const { return minor_; }
  const ModelConfig& config() const { return config_; }
  // The checksum of header, configuration and directory, which holds those of all tensors: files
  // with the same one compute the same.
  uint64_t identity() const { return identity_; }
  std::span<const TensorInfo> tensors() const { return tensors_; }
  // Entries of types that this version does not know and the file does not require. Their shapes
  // are not checked.
  std::span<const TensorInfo> ignored_entries() const { return ignored_; }
  bool has_tokenizer() const { return tokenizer_.has_value(); }
  // REQUIRES: has_tokenizer().
  const TokenizerView& tokenizer() const { return *tokenizer_; }
  std::span<const std::byte> tokenizer_section() const { return tokenizer_section_; }

  // Whether decoding a token reads all of a tensor: of an untied embedding it reads one row.
  bool IsReadPerToken(const TensorInfo& tensor) const {
    return config_.tied_classifier || tensor.name != "token_embedding";
  }
  // Bytes of those tensors.
  uint64_t BytesPerToken() const;

  // Recomputes the checksum of one tensor. DataLoss naming the tensor if it differs.
  absl::Status VerifyTensor(const TensorInfo& tensor) const;
  // That of the tokenizer; OK if there is none.
  absl::Status VerifyTokenizer() const;
  // Reads the bytes between the parts of the file. DataLoss naming the first that is not zero.
  absl::Status VerifyGaps() const;

  // The weights, for Llama<>. Valid as long as the bytes and
  // this object's moves.
  class View {
   public:
    const ModelConfig& config() const { return weights_->config; }
    TileMatrix embedding() const { return weights_->embedding; }
    const LayerView& layer(size_t i) const { return weights_->layers[i]; }
    std::span<const float> final_norm() const { return weights_->final_norm; }
    TileMatrix classifier() const { return weights_->classifier; }
    std::span<const float> rope_inv_freq() const { return weights_->rope_inv_freq; }

   private:
    friend class TvlReader;
    struct Weights {
      ModelConfig config;
      TileMatrix embedding;
      TileMatrix classifier;
      std::span<const float> final_norm;
      std::span<const float> rope_inv_freq;
      std::vector<LayerView> layers;
    };
    explicit View(const Weights* weights) : weights_(weights) {}
    const Weights* weights_;
  };
  View view() const { return View(weights_.get()); }

 private:
  // What claims the bytes from begin to end.
  struct Extent {
    uint64_t begin;
    uint64_t end;
    absl::string_view what;
  };

  TvlReader() = default;

  absl::Status ParseHeader();
  absl::Status ParseConfig();
  absl::Status ParseDirectory();
  absl::Status ParseEntry(size_t index);
  absl::Status CheckOverlap();
  absl::Status ParseTokenizerSection();
  absl::Status BindWeights();
  absl::Status BindLayer(size_t index, LayerView* layer);
  absl::Status BindOptionalVectors(size_t index, LayerView* layer);
  absl::StatusOr<const TensorInfo*> Find(absl::string_view tensor, uint64_t rows, uint64_t cols);
  absl::Status BindVector(absl::string_view tensor, uint64_t cols, std::span<const float>* out);
  absl::Status BindMatrix(absl::string_view tensor, uint64_t rows, uint64_t cols, TileMatrix* out);
  absl::Status BindPair(absl::string_view tensor, uint64_t rows, uint64_t cols, TilePair* out);
  absl::Status Error(absl::string_view what) const;

  std::string name_;
  std::span<const std::byte> bytes_;
  uint16_t major_ = 0;
  uint64_t identity_ = 0;
  uint16_t minor_ = 0;
  uint64_t directory_offset_ = 0;
  uint64_t config_offset_ = 0;
  uint64_t config_bytes_ = 0;
  uint64_t tokenizer_offset_ = 0;
  uint32_t entry_count_ = 0;
  ModelConfig config_;
  std::vector<TensorInfo> tensors_;
  std::vector<TensorInfo> ignored_;
  std::vector<Extent> extents_;  // of all parts of the file, in the order of their begins
  std::map<absl::string_view, size_t> by_name_;
  std::vector<bool> bound_;  // tensors that the architecture has asked for
  std::optional<TokenizerView> tokenizer_;
  std::span<const std::byte> tokenizer_section_;
  // At an address of its own, so that views survive moves of the reader.
  std::unique_ptr<View::Weights> weights_;
};

static_assert(ModelView<TvlReader::View>);

}  // namespace tvl

#endif  // TVL_MODELS_TVL_READER_H_
