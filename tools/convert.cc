// tvl convert: a model of another project to a .tvl file.
#include <sys/stat.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/cpu_features.h"
#include "core/in_file.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "models/import/gguf.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_parts.h"
#include "models/import/gguf_tokenizer.h"
#include "models/import/llama2c.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/recipe.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_writer.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/units.h"

namespace tvl {
namespace {

struct Options {
  std::string in;
  std::string out;
  std::string tokenizer;            // empty: the model's own
  std::optional<WeightType> dtype;  // none: as the source
  std::optional<WeightType> embedding_dtype;
  std::vector<RecipeStep> recipe;
  uint64_t threads = 0;  // 0: DefaultThreadCount()
};

// What is converted.
struct Input {
  std::vector<std::string> paths;
  std::vector<MappedFile> files;  // that the model points into
  ModelSource model;
  TokenizerData tokenizer;

  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const MappedFile& file : files) sum += file.bytes().size();
    return sum;
  }
};

uint64_t FileBytes(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

// The types that the options ask for. InvalidArgument if they name a classifier that is tied.
absl::StatusOr<Recipe> TypesFor(const Options& options, const ModelConfig& config,
                                const Recipe& unless_told) {
  Recipe types = options.dtype ? Recipe(*options.dtype) : unless_told;
  if (options.embedding_dtype) types[TensorRole::kEmbedding] = *options.embedding_dtype;
  for (const RecipeStep& step : options.recipe) {
    if (step.role == TensorRole::kClassifier && config.tied_classifier) {
      return absl::InvalidArgumentError(
          "--recipe: this model's classifier is its embedding: expected embedding, found "
          "'classifier'");
    }
    types[step.role] = step.type;
  }
  return types;
}

absl::Status Write(const Input& input, const Recipe& types, const Options& options,
                   std::vector<MatrixFate>* fates) {
  ThreadPool pool(options.threads == 0 ? DefaultThreadCount() : options.threads);
  const InterruptGuard guard;
  Progress progress("converting");
  const auto report = [&](uint64_t done, uint64_t total) {
    progress.Update(done, total);
    return !InterruptGuard::interrupted();
  };
  return WriteTvl(input.model, SerializeTokenizer(input.tokenizer), options.out,
                  {.types = types, .pool = &pool, .progress = report, .fates = fates});
}

// What became of the integers of a checkpoint that has them.
std::string QuantsText(const TvlSummary& summary) {
  if (summary.quantized_matrices == 0) return "";
  if (summary.kept_matrices == 0) return "; requantised";
  if (summary.kept_matrices == summary.quantized_matrices) return "; quants kept";
  return absl::StrCat("; quants kept in ", summary.kept_matrices, " of ",
                      summary.quantized_matrices, " matrices");
}

// A line for each type of the source and what became of it: "  Q6_K: 8 matrices as q8, requantised,
// relative RMS error 0.21%".
std::string FatesText(const std::vector<MatrixFate>& fates) {
  struct Sum {
    size_t count = 0;
    bool exact = true, same_quants = true;
    SquaredLoss loss;
  };
  std::map<std::pair<std::string, WeightType>, Sum> sums;
  for (const MatrixFate& fate : fates) {
    Sum& sum = sums[{fate.source->source_type, fate.type}];
    ++sum.count;
    sum.exact &= fate.loss.error == 0;
    sum.same_quants &= fate.source->HasBlocksOf(fate.type);
    sum.loss += fate.loss;
  }
  std::string text;
  for (const auto& [types, sum] : sums) {
    const double relative = sum.loss.norm == 0 ? 0 : std::sqrt(sum.loss.error / sum.loss.norm);
    const char* how = sum.same_quants             ? "scales rounded"
                      : IsQuantized(types.second) ? "requantised"
                                                  : "rounded";
    absl::StrAppend(&text, "  ", types.first, ": ", sum.count,
                    sum.count == 1 ? " matrix as " : " matrices as ", WeightTypeName(types.second),
                    sum.exact
                        ? ", lossless"
                        : absl::StrFormat(", %s, relative RMS error %.2g%%", how, 100 * relative),
                    "\n");
  }
  return text;
}

// What --tokenizer names.
absl::StatusOr<TokenizerData> ReadVocabulary(const std::string& path, const MappedFile& file,
                                             const ModelConfig& config) {
  absl::StatusOr<TokenizerData> tokenizer = ImportLlama2cTokenizer(file.bytes(), config.vocab_size);
  if (!tokenizer.ok()) return InFile(path, tokenizer.status());
  return tokenizer;
}

// Either takes the model's mapping; the tokenizer may be none.
absl::StatusOr<Input> OpenGguf(const Options& options, MappedFile first,
                               const MappedFile* vocabulary) {
  absl::StatusOr<GgufParts> parts = OpenGgufParts(options.in, std::move(first));
  if (!parts.ok()) return parts.status();
  absl::StatusOr<ModelSource> model = ImportGguf(parts->contents);
  if (!model.ok()) return InFile(options.in, model.status());
  absl::StatusOr<TokenizerData> tokenizer =
      vocabulary != nullptr
          ? ReadVocabulary(options.tokenizer, *vocabulary, model->config)
          : ImportGgufTokenizer(parts->contents.metadata, model->config.vocab_size);
  if (!tokenizer.ok())
    return vocabulary != nullptr ? tokenizer.status() : InFile(options.in, tokenizer.status());
  return Input{std::move(parts->paths), std::move(parts->files), *std::move(model),
               *std::move(tokenizer)};
}

absl::StatusOr<Input> OpenLlama2c(const Options& options, MappedFile file,
                                  const MappedFile* vocabulary) {
  absl::StatusOr<ModelSource> model = ImportLlama2c(file.bytes());
  if (!model.ok()) return InFile(options.in, model.status());
  if (vocabulary == nullptr) {
    return InFile(options.in, absl::InvalidArgumentError(
                                  "a llama2.c checkpoint has no tokenizer: expected --tokenizer "
                                  "with its tokenizer.bin, found none"));
  }
  absl::StatusOr<TokenizerData> tokenizer =
      ReadVocabulary(options.tokenizer, *vocabulary, model->config);
  if (!tokenizer.ok()) return tokenizer.status();
  Input input = {{options.in}, {}, *std::move(model), *std::move(tokenizer)};
  input.files.push_back(std::move(file));
  return input;
}

absl::StatusOr<Input> OpenInput(const Options& options) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(options.in);
  if (!file.ok()) return file.status();
  std::optional<MappedFile> vocabulary;
  if (!options.tokenizer.empty()) {
    absl::StatusOr<MappedFile> opened = MappedFile::Open(options.tokenizer);
    if (!opened.ok()) return opened.status();
    vocabulary = *std::move(opened);
  }
  const MappedFile* given = vocabulary ? &*vocabulary : nullptr;
  return IsGguf(file->bytes()) ? OpenGguf(options, *std::move(file), given)
                               : OpenLlama2c(options, *std::move(file), given);
}

// Before the inputs are read: a mistake in the names is the better explanation.
absl::Status CheckOutput(const std::string& out, const std::vector<std::string>& sources) {
  for (const std::string& source : sources) {
    if (source.empty() || !SameFile(source, out)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(out, ": the output would replace its own input ", source));
  }
  return absl::OkStatus();
}

absl::Status Run(const Options& options) {
  const Stopwatch watch;
  if (absl::Status s = CheckOutput(options.out, {options.in, options.tokenizer}); !s.ok()) return s;
  const absl::StatusOr<Input> input = OpenInput(options);
  if (!input.ok()) return input.status();
  // Further parts of the model.
  if (absl::Status s = CheckOutput(options.out, input->paths); !s.ok()) return s;
  const ModelConfig& config = input->model.config;
  const bool gguf = IsGguf(input->files[0].bytes());
  const absl::StatusOr<Recipe> types =
      TypesFor(options, config, gguf ? Recipe::AsSource() : WeightType::kF32);
  if (!types.ok()) return InFile(options.in, types.status());

  std::vector<MatrixFate> fates;
  absl::Status written = Write(*input, *types, options, gguf ? &fates : nullptr);
  // A weight that its type cannot store.
  if (absl::IsDataLoss(written)) return InFile(options.in, written);
  if (!written.ok()) return written;
  const TvlSummary summary = SummarizeTvl(input->model, *types);
  PrintNote(absl::StrCat(options.in, " (", FormatBytes(input->bytes()), ") -> ", options.out, " (",
                         FormatBytes(FileBytes(options.out)), ": ",
                         RecipeText(*types, config.tied_classifier),
                         absl::StrFormat("; %.4g bits per weight", summary.bits_per_weight),
                         gguf ? "" : QuantsText(summary), ") in ", FormatSeconds(watch.seconds()),
                         "\n", FatesText(fates)));
  return absl::OkStatus();
}

// The value of an option, or the error that CLI11 shows as "--dtype: expected ...".
template <typename T>
T ValueOf(const char* option, const absl::StatusOr<T>& parsed) {
  if (!parsed.ok()) throw CLI::ValidationError(option, std::string(parsed.status().message()));
  return *parsed;
}

void AddTypes(CLI::App& sub, Options* options) {
  constexpr char kTypes[] = "f32|f16|bf16|q8|q4|q4m";
  sub.add_option_function<std::string>(
         "--dtype",
         [=](const std::string& text) {
           options->dtype = ValueOf("--dtype", ParseWeightType(text));
         },
         "Of the weights. f32 keeps them; f16 and bf16 take 16 bits of each, q8 8.5, q4m 5 and q4 "
         "4.5 (default: of a GGUF file each matrix's own or the nearest to it, else f32)")
      ->type_name(kTypes);
  sub.add_option_function<std::string>(
         "--embedding-dtype",
         [=](const std::string& text) {
           options->embedding_dtype = ValueOf("--embedding-dtype", ParseWeightType(text));
         },
         "Of the embedding, and of the classifier if it is tied to it (default: as --dtype)")
      ->type_name(kTypes);
  sub.add_option_function<std::string>(
         "--recipe",
         [=](const std::string& text) { options->recipe = ValueOf("--recipe", ParseRecipe(text)); },
         "Types by role, later ones win, and all win over the types above: embedding, wq, wk, wv, "
         "wo, w13, w2, classifier; attention is wq to wo, ffn is w13 and w2")
      ->type_name("ROLE=TYPE,...");
}

}  // namespace

void AddConvert(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      app.add_subcommand("convert", "Make a .tvl file from a GGUF file or a llama2.c checkpoint");
  sub->footer(
      "The same input gives the same bytes on every machine. The output appears whole or not at "
      "all.\n"
      "\n"
      "Examples:\n"
      "  tvl convert llama-3.2-1b-q4_0.gguf llama.tvl\n"
      "  tvl convert stories15M.bin stories15M.tvl --tokenizer tokenizer.bin --dtype f16\n"
      "  tvl convert stories15M.bin small.tvl --tokenizer tokenizer.bin --dtype q4 --recipe "
      "embedding=q8,w2=q8");
  AddFileName(*sub, "IN", &options->in,
              "A GGUF file of the llama architecture (of several parts the first, "
              "...-00001-of-0000N.gguf), or a llama2.c checkpoint, version 0, 1 or 2")
      ->required()
      ->type_name("");
  AddFileName(*sub, "OUT", &options->out, "The .tvl file to write")->required()->type_name("");
  AddFileName(
      *sub, "--tokenizer", &options->tokenizer,
      "A llama2.c tokenizer (tokenizer.bin): required with a checkpoint, and used instead of "
      "its own with a GGUF file");
  AddTypes(*sub, options.get());
  AddCount(*sub, "-t,--threads", 1, kMaxThreads, &options->threads,
           "Threads to quantise with; changes no byte (default: one per performance core)");
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
