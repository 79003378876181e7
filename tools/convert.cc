// tvl convert: a checkpoint of another project to a .tvl file.
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/cpu_features.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/thread_pool.h"
#include "core/tile.h"
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
  std::string tokenizer;
  WeightType dtype = WeightType::kF32;
  std::optional<WeightType> embedding_dtype;
  std::vector<RecipeStep> recipe;
  uint64_t threads = 0;  // 0: DefaultThreadCount()
};

absl::Status InFile(const std::string& file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file, ": ", status.message()));
}

uint64_t FileBytes(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

// The types that the options ask for. InvalidArgument if they name a classifier that is tied.
absl::StatusOr<Recipe> TypesFor(const Options& options, const ModelConfig& config) {
  Recipe types = options.dtype;
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

absl::Status Write(const ModelSource& model, const TokenizerData& tokenizer, const Recipe& types,
                   const Options& options) {
  ThreadPool pool(options.threads == 0 ? DefaultThreadCount() : options.threads);
  const InterruptGuard guard;
  Progress progress("converting");
  const auto report = [&](uint64_t done, uint64_t total) {
    progress.Update(done, total);
    return !InterruptGuard::interrupted();
  };
  return WriteTvl(model, SerializeTokenizer(tokenizer), options.out,
                  {.types = types, .pool = &pool, .progress = report});
}

// What became of the integers of a checkpoint that has them.
std::string QuantsText(const TvlSummary& summary) {
  if (summary.quantized_matrices == 0) return "";
  if (summary.kept_matrices == 0) return "; requantised";
  if (summary.kept_matrices == summary.quantized_matrices) return "; quants kept";
  return absl::StrCat("; quants kept in ", summary.kept_matrices, " of ",
                      summary.quantized_matrices, " matrices");
}

absl::Status Run(const Options& options) {
  const Stopwatch watch;
  absl::StatusOr<MappedFile> checkpoint = MappedFile::Open(options.in);
  if (!checkpoint.ok()) return checkpoint.status();
  absl::StatusOr<MappedFile> vocabulary = MappedFile::Open(options.tokenizer);
  if (!vocabulary.ok()) return vocabulary.status();
  for (const std::string& source : {options.in, options.tokenizer}) {
    if (!SameFile(source, options.out)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(options.out, ": the output would replace its own input ", source));
  }
  absl::StatusOr<ModelSource> model = ImportLlama2c(checkpoint->bytes());
  if (!model.ok()) return InFile(options.in, model.status());
  absl::StatusOr<Recipe> types = TypesFor(options, model->config);
  if (!types.ok()) return InFile(options.in, types.status());
  absl::StatusOr<TokenizerData> tokenizer =
      ImportLlama2cTokenizer(vocabulary->bytes(), model->config.vocab_size);
  if (!tokenizer.ok()) return InFile(options.tokenizer, tokenizer.status());

  absl::Status written = Write(*model, *tokenizer, *types, options);
  // A weight that its type cannot store.
  if (absl::IsDataLoss(written)) return InFile(options.in, written);
  if (!written.ok()) return written;
  const TvlSummary summary = SummarizeTvl(*model, *types);
  PrintNote(absl::StrCat(options.in, " (", FormatBytes(checkpoint->bytes().size()), ") -> ",
                         options.out, " (", FormatBytes(FileBytes(options.out)), ": ",
                         RecipeText(*types, model->config.tied_classifier),
                         absl::StrFormat("; %.4g bits per weight", summary.bits_per_weight),
                         QuantsText(summary), ") in ", FormatSeconds(watch.seconds()), "\n"));
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
         "4.5 (default: f32)")
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
  CLI::App* sub = app.add_subcommand("convert", "Make a .tvl file from a llama2.c checkpoint");
  sub->footer(
      "The same input gives the same bytes on every machine. The output appears whole or not at "
      "all.\n"
      "\n"
      "Examples:\n"
      "  tvl convert stories15M.bin stories15M.tvl --tokenizer tokenizer.bin --dtype f16\n"
      "  tvl convert stories15M.bin small.tvl --tokenizer tokenizer.bin --dtype q4 --recipe "
      "embedding=q8,w2=q8");
  AddFileName(*sub, "IN", &options->in,
              "A llama2.c checkpoint, version 0, 1 or 2 (such as stories15M.bin)")
      ->required()
      ->type_name("");
  AddFileName(*sub, "OUT", &options->out, "The .tvl file to write")->required()->type_name("");
  AddFileName(*sub, "--tokenizer", &options->tokenizer,
              "The model's llama2.c tokenizer (tokenizer.bin); required")
      ->required();
  AddTypes(*sub, options.get());
  AddCount(*sub, "-t,--threads", 1, kMaxThreads, &options->threads,
           "Threads to quantise with; changes no byte (default: one per performance core)");
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
