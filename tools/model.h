// Opening what --model names, and putting a prompt before it.
#ifndef TVL_TOOLS_MODEL_H_
#define TVL_TOOLS_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kernel.h"
#include "core/token.h"
#include "models/embedded/embedded_model.h"
#include "models/engine.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tvl_reader.h"
#include "tools/model_cache.h"

namespace tvl {

inline constexpr char kEmbeddedModelName[] = "the embedded model";

// The model in the file `path`, a .tvl or a GGUF file (tools/model_cache.h), or the embedded one if
// that is empty. Errors and reports name `path`.
template <Kernel K>
absl::StatusOr<std::unique_ptr<Engine<K>>> OpenModel(const std::string& path,
                                                     const EngineOptions& options) {
  if (path.empty()) return Engine<K>::FromBytes(EmbeddedModel(), kEmbeddedModelName, options);
  absl::StatusOr<TvlFile> opened = OpenTvlFile(path);
  if (!opened.ok()) return opened.status();
  return Engine<K>::FromFile(std::move(opened->file), path, options);
}

// FailedPrecondition if the file carries none.
absl::StatusOr<Tokenizer> OpenTokenizer(const TvlReader& reader);

// `text` as the model expects a text to begin, with the beginning-of-sequence token; that token
// alone for an empty text.
std::vector<TokenId> EncodePrompt(const Tokenizer& tokenizer, std::string_view text);

// OutOfRange if `asked`, the value of --context, is more than what the model was trained for.
absl::Status CheckContext(uint64_t asked, const TvlReader& reader);

// OutOfRange if the prompt does not fit `context`, of a model that was trained for `trained`
// positions; says what to do.
absl::Status CheckFits(size_t prompt_tokens, size_t context, size_t trained);
// OutOfRange if the prompt and `more` further positions do not fit the context that a model was
// trained for.
absl::Status CheckFitsWith(size_t more, size_t prompt_tokens, size_t trained);

}  // namespace tvl

#endif  // TVL_TOOLS_MODEL_H_
