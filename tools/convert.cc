// tvl convert: a checkpoint of another project to a .tvl file.
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/mapped_file.h"
#include "core/tile.h"
#include "models/import/llama2c.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/tile_packer.h"
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
};

absl::Status InFile(const std::string& file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file, ": ", status.message()));
}

uint64_t FileBytes(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
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
  absl::StatusOr<TokenizerData> tokenizer =
      ImportLlama2cTokenizer(vocabulary->bytes(), model->config.vocab_size);
  if (!tokenizer.ok()) return InFile(options.tokenizer, tokenizer.status());

  {
    const InterruptGuard guard;
    Progress progress("converting");
    TvlWriteOptions write;
    write.type = options.dtype;
    write.progress = [&](uint64_t done, uint64_t total) {
      progress.Update(done, total);
      return !InterruptGuard::interrupted();
    };
    if (absl::Status s = WriteTvl(*model, SerializeTokenizer(*tokenizer), options.out, write);
        !s.ok())
      return s;
  }
  PrintNote(absl::StrCat(options.in, " (", FormatBytes(checkpoint->bytes().size()), ") -> ",
                         options.out, " (", FormatBytes(FileBytes(options.out)), ", ",
                         WeightTypeName(options.dtype), ") in ", FormatSeconds(watch.seconds()),
                         "\n"));
  return absl::OkStatus();
}

}  // namespace

void AddConvert(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("convert", "Make a .tvl file from a llama2.c checkpoint");
  sub->footer(
      "The same input gives the same bytes on every machine. The output appears whole or not at "
      "all.\n"
      "\n"
      "Example:\n"
      "  tvl convert stories15M.bin stories15M.tvl --tokenizer tokenizer.bin --dtype f16");
  sub->add_option("IN", options->in,
                  "A llama2.c checkpoint, version 0, 1 or 2 (such as stories15M.bin)")
      ->required()
      ->type_name("");
  sub->add_option("OUT", options->out, "The .tvl file to write")->required()->type_name("");
  sub->add_option("--tokenizer", options->tokenizer,
                  "The model's llama2.c tokenizer (tokenizer.bin); required")
      ->required()
      ->type_name("FILE");
  const auto parse = [options](const std::string& text) {
    for (const WeightType type : kPackableTypes) {
      if (text != WeightTypeName(type)) continue;
      options->dtype = type;
      return;
    }
    throw CLI::ValidationError("--dtype",
                               absl::StrCat("expected f32, f16 or bf16, found '", text, "'"));
  };
  sub->add_option_function<std::string>(
         "--dtype", parse, "f32 keeps the weights, f16 and bf16 halve their size (default: f32)")
      ->type_name("f32|f16|bf16");
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
