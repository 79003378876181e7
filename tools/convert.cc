// tvl convert: a model of another project to a .tvl file.
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "models/file_kind.h"
#include "models/recipe.h"
#include "tools/command.h"
#include "tools/conversion.h"
#include "tools/output.h"
#include "tools/output_file.h"

namespace tvl {
namespace {

struct Options {
  ConversionOptions conversion;
  std::string out;
  bool force = false;
};

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
  const std::vector<std::string> named = {options.conversion.in, options.conversion.tokenizer};
  if (absl::Status s = CheckOutput(options.out, named); !s.ok()) return s;
  const absl::StatusOr<Conversion> conversion = Conversion::Open(options.conversion);
  if (!conversion.ok()) return conversion.status();
  // Further parts of the model.
  if (absl::Status s = CheckOutput(options.out, conversion->paths()); !s.ok()) return s;
  if (absl::Status s = MayReplace(options.out, FileKind::kTvl, options.force); !s.ok()) return s;
  const absl::StatusOr<std::string> summary = conversion->Write(options.out);
  if (!summary.ok()) return summary.status();
  PrintNote(*summary);
  return absl::OkStatus();
}

// The value of an option, or the error that CLI11 shows as "--dtype: expected ...".
template <typename T>
T ValueOf(const char* option, const absl::StatusOr<T>& parsed) {
  if (!parsed.ok()) throw CLI::ValidationError(option, std::string(parsed.status().message()));
  return *parsed;
}

void AddTypes(CLI::App& sub, ConversionOptions* options) {
  constexpr char kTypes[] = "f32|f16|bf16|q8|q4|q4m|q4k|q5k|q6k";
  sub.add_option_function<std::string>(
         "--dtype",
         [=](const std::string& text) {
           options->dtype = ValueOf("--dtype", ParseWeightType(text));
         },
         "Of the weights. f32 keeps them; f16 and bf16 take 16 bits of each, q8 8.5, q6k 6.6, q5k "
         "5.6, "
         "q4m 5, q4k 4.6 and q4 4.5 (default: of a GGUF file each matrix's own or the nearest to "
         "it, else f32)")
      ->type_name(kTypes);
  sub.add_option_function<std::string>(
         "--embedding-dtype",
         [=](const std::string& text) {
           options->embedding_dtype = ValueOf("--embedding-dtype", ParseWeightType(text));
         },
         "Of the embedding, and of the classifier if it is tied to it (default: as --dtype)")
      ->type_name(kTypes);
  sub.add_option_function<std::vector<std::string>>(
         "--recipe",
         [=](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const std::vector<RecipeStep> steps = ValueOf("--recipe", ParseRecipe(text));
             options->recipe.insert(options->recipe.end(), steps.begin(), steps.end());
           }
         },
         "Types by role, later ones win, and all win over the types above: embedding, wq, wk, wv, "
         "wo, w13, w2, classifier; attention is wq to wo, ffn is w13 and w2")
      ->allow_extra_args(false)
      ->type_name("ROLE=TYPE,...");
}

}  // namespace

void AddConvert(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      app.add_subcommand("convert", "Make a .tvl file from a GGUF file or a llama2.c checkpoint");
  sub->footer(
      "The same input gives the same bytes on every machine. The output appears whole or not at "
      "all. It replaces a .tvl file\n"
      "of that name, and a file of another kind only with --force.\n"
      "\n"
      "Examples:\n"
      "  tvl convert llama-3.2-1b-q4_0.gguf llama.tvl\n"
      "  tvl convert stories15M.bin stories15M.tvl --tokenizer tokenizer.bin --dtype f16\n"
      "  tvl convert stories15M.bin small.tvl --tokenizer tokenizer.bin --dtype q4 --recipe "
      "embedding=q8,w2=q8");
  AddMappedFile(*sub, "IN", &options->conversion.in,
                "A GGUF file (of several parts the first, "
                "...-00001-of-0000N.gguf), or a llama2.c checkpoint, version 0, 1 or 2")
      ->required()
      ->type_name("");
  AddMappedFile(*sub, "OUT", &options->out, "The .tvl file to write")->required()->type_name("");
  AddMappedFile(
      *sub, "--tokenizer", &options->conversion.tokenizer,
      "A llama2.c tokenizer (tokenizer.bin): required with a checkpoint, and used instead of "
      "its own with a GGUF file");
  AddTypes(*sub, &options->conversion);
  AddForce(*sub, &options->force);
  AddCount(*sub, "-t,--threads", 1, kMaxThreads, &options->conversion.threads,
           "Threads to quantise with; changes no byte (default: one per performance core)");
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
