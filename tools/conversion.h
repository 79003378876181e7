// A model of another project as a .tvl file: what tvl convert and the cache of models share.
#ifndef TVL_TOOLS_CONVERSION_H_
#define TVL_TOOLS_CONVERSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/tile.h"
#include "models/model_source.h"
#include "models/recipe.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// To be increased with every change that gives other bytes for the same source, so that what was
// converted before is converted anew.
inline constexpr uint32_t kConversionVersion = 3;

struct ConversionOptions {
  std::string in;
  std::string tokenizer;            // of llama2.c; empty: the model's own
  std::optional<WeightType> dtype;  // none: as a GGUF file has it, else f32
  std::optional<WeightType> embedding_dtype;
  std::vector<RecipeStep> recipe;
  uint64_t threads = 0;  // 0: DefaultThreadCount()
};

// A model that has been found to be in order, but for its weights, which are read when it is
// written.
class Conversion {
 public:
  // Errors name the file.
  static absl::StatusOr<Conversion> Open(const ConversionOptions& options);

  // Of the model; of several parts all.
  const std::vector<std::string>& paths() const { return paths_; }
  uint64_t source_bytes() const;
  // What of the source is left out or read in one of several ways, in sentences.
  const std::vector<std::string>& notes() const { return model_.notes; }
  const ModelConfig& config() const { return model_.config; }
  // "q4; 4.5 bits per weight", of what Write would write.
  std::string TypesText() const;

  // Writes the file, with progress on standard error. Cancelled by an interrupt. DataLoss naming
  // the model's file for a weight that its type cannot store; any other error is about `out`.
  // Returns what came of it, in lines: how large it is, in which types, and what was lost.
  absl::StatusOr<std::string> Write(const std::string& out) const;

 private:
  Conversion() = default;
  absl::Status ReadModel(MappedFile first);
  absl::Status ReadGguf(MappedFile first);
  absl::Status ReadLlama2c(MappedFile file);
  absl::Status ReadTypes();

  ConversionOptions options_;
  std::vector<std::string> paths_;
  std::vector<MappedFile> files_;  // that the model points into
  bool gguf_ = false;
  ModelSource model_;
  TokenizerData tokenizer_;
  Recipe types_ = WeightType::kF32;
};

}  // namespace tvl

#endif  // TVL_TOOLS_CONVERSION_H_
