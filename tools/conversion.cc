#include "tools/conversion.h"

#include <sys/stat.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/cpu_cores.h"
#include "core/in_file.h"
#include "core/thread_pool.h"
#include "models/import/gguf.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_parts.h"
#include "models/import/gguf_tokenizer.h"
#include "models/import/llama2c.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/tvl_writer.h"
#include "tools/interrupt.h"
#include "tools/mapped_pages.h"
#include "tools/model_input.h"
#include "tools/printable.h"
#include "tools/progress.h"
#include "tools/units.h"

namespace tvl {
namespace {

uint64_t FileBytes(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

// What became of the integers of a checkpoint that has them.
std::string QuantsText(const TvlSummary& summary) {
  if (summary.quantized_matrices == 0) return "";
  if (summary.kept_matrices == 0) return "; requantised";
  if (summary.kept_matrices == summary.quantized_matrices) return "; quants kept";
  return absl::StrCat("; quants kept in ", summary.kept_matrices, " of ",
                      summary.quantized_matrices, " matrices");
}

// A line for each type of the source and what became of it: "  Q5_1: 8 matrices as q8, requantised,
// relative RMS error 0.41%".
std::string FatesText(const std::vector<MatrixFate>& fates) {
  struct Sum {
    size_t count = 0;
    bool exact = true;
    SquaredLoss loss;
  };
  std::map<std::pair<std::string, WeightType>, Sum> sums;
  for (const MatrixFate& fate : fates) {
    Sum& sum = sums[{fate.source->source_type, fate.type}];
    ++sum.count;
    sum.exact &= fate.loss.error == 0;
    sum.loss += fate.loss;
  }
  std::string text;
  for (const auto& [types, sum] : sums) {
    const double relative = sum.loss.norm == 0 ? 0 : std::sqrt(sum.loss.error / sum.loss.norm);
    const char* how = IsQuantized(types.second) ? "requantised" : "rounded";
    absl::StrAppend(&text, "  ", types.first, ": ", sum.count,
                    sum.count == 1 ? " matrix as " : " matrices as ", WeightTypeName(types.second),
                    sum.exact
                        ? ", lossless"
                        : absl::StrFormat(", %s, relative RMS error %.2g%%", how, 100 * relative),
                    "\n");
  }
  return text;
}

// What became of matrices that the asked-for type does not suit.
std::vector<std::string> ReplacedNotes(const TvlSummary& summary) {
  std::vector<std::string> notes;
  for (const TvlSummary::Replaced& r : summary.replaced) {
    notes.push_back(absl::StrCat(WeightTypeName(r.wanted),
                                 " takes rows of a multiple of 256 weights: ", r.matrices,
                                 r.matrices == 1 ? " matrix" : " matrices", " with rows of ",
                                 r.cols, " became ", WeightTypeName(r.used)));
  }
  return notes;
}

std::string NotesText(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) absl::StrAppend(&text, "  note: ", Printable(note), "\n");
  return text;
}

}  // namespace

absl::StatusOr<Conversion> Conversion::Open(const ConversionOptions& options) {
  Conversion conversion;
  conversion.options_ = options;
  absl::StatusOr<MappedFile> file = OpenModelInput(options.in);
  if (!file.ok()) return file.status();
  if (absl::Status s = conversion.ReadModel(*std::move(file)); !s.ok())
    return WithDownloadHint(options.in, s);
  if (absl::Status s = conversion.ReadTypes(); !s.ok()) return InFile(options.in, s);
  return conversion;
}

absl::Status Conversion::ReadModel(MappedFile first) {
  std::optional<MappedFile> vocabulary;
  if (!options_.tokenizer.empty()) {
    absl::StatusOr<MappedFile> opened = OpenModelInput(options_.tokenizer);
    if (!opened.ok()) return opened.status();
    vocabulary = *std::move(opened);
  }
  gguf_ = IsGguf(first.bytes());
  if (absl::Status s = gguf_ ? ReadGguf(std::move(first)) : ReadLlama2c(std::move(first)); !s.ok())
    return s;
  if (!vocabulary) return absl::OkStatus();
  absl::StatusOr<TokenizerData> tokenizer =
      ImportLlama2cTokenizer(vocabulary->bytes(), model_.config.vocab_size);
  if (!tokenizer.ok()) return InFile(options_.tokenizer, tokenizer.status());
  tokenizer_ = *std::move(tokenizer);
  return absl::OkStatus();
}

absl::Status Conversion::ReadGguf(MappedFile first) {
  absl::StatusOr<GgufParts> parts = OpenGgufParts(options_.in, std::move(first));
  if (!parts.ok()) return parts.status();
  absl::StatusOr<ModelSource> model = ImportGguf(parts->contents);
  if (!model.ok()) return InFile(options_.in, model.status());
  if (options_.tokenizer.empty()) {
    absl::StatusOr<TokenizerData> tokenizer =
        ImportGgufTokenizer(parts->contents.metadata, model->config.vocab_size, &model->notes);
    if (!tokenizer.ok()) return InFile(options_.in, tokenizer.status());
    tokenizer_ = *std::move(tokenizer);
  }
  paths_ = std::move(parts->paths);
  files_ = std::move(parts->files);
  model_ = *std::move(model);
  return absl::OkStatus();
}

absl::Status Conversion::ReadLlama2c(MappedFile file) {
  absl::StatusOr<ModelSource> model = ImportLlama2c(file.bytes());
  if (!model.ok()) return InFile(options_.in, model.status());
  if (options_.tokenizer.empty()) {
    return InFile(options_.in, absl::InvalidArgumentError(
                                   "a llama2.c checkpoint has no tokenizer: expected --tokenizer "
                                   "with its tokenizer.bin, found none"));
  }
  paths_ = {options_.in};
  files_.push_back(std::move(file));
  model_ = *std::move(model);
  return absl::OkStatus();
}

absl::Status Conversion::ReadTypes() {
  types_ = options_.dtype ? Recipe(*options_.dtype)
           : gguf_        ? Recipe::AsSource()
                          : Recipe(WeightType::kF32);
  if (options_.embedding_dtype) types_[TensorRole::kEmbedding] = *options_.embedding_dtype;
  for (const RecipeStep& step : options_.recipe) {
    if (step.role == TensorRole::kClassifier && model_.config.tied_classifier) {
      return absl::InvalidArgumentError(
          "--recipe: this model's classifier is its embedding: expected embedding, found "
          "'classifier'");
    }
    types_[step.role] = step.type;
  }
  return absl::OkStatus();
}

uint64_t Conversion::source_bytes() const {
  uint64_t sum = 0;
  for (const MappedFile& file : files_) sum += file.bytes().size();
  return sum;
}

std::string Conversion::TypesText() const {
  return absl::StrCat(
      RecipeText(types_, model_.config.tied_classifier),
      absl::StrFormat("; %.4g bits per weight", SummarizeTvl(model_, types_).bits_per_weight));
}

absl::StatusOr<std::string> Conversion::Write(const std::string& out) const {
  const Stopwatch watch;
  std::vector<MatrixFate> fates;
  // The source is read as it is mapped. Of 585 MB that were not in memory, read at 1.4 GB/s, a
  // thread that reads ahead (core/read_ahead.h) gained nothing, 0.77 s for 0.76, and large reads
  // and MADV_SEQUENTIAL lost: 1.2 s and 0.9 s.
  {
    ThreadPool pool(options_.threads == 0 ? DefaultThreadCount() : options_.threads);
    const InterruptGuard guard;
    Progress progress("converting");
    const auto report = [&](uint64_t done, uint64_t total) {
      progress.Update(done, total);
      return !InterruptGuard::interrupted();
    };
    absl::Status written = WriteTvl(
        model_, SerializeTokenizer(tokenizer_), out,
        {.types = types_, .pool = &pool, .progress = report, .fates = gguf_ ? &fates : nullptr});
    if (absl::IsDataLoss(written)) return InFile(options_.in, written);
    if (!written.ok()) return written;
  }
  MendPages(out, watch.seconds());
  const TvlSummary summary = SummarizeTvl(model_, types_);
  return absl::StrCat(Printable(options_.in), " (", FormatBytes(source_bytes()), ") -> ",
                      Printable(out), " (", FormatBytes(FileBytes(out)), ": ", TypesText(),
                      gguf_ ? "" : QuantsText(summary), ") in ", FormatSeconds(watch.seconds()),
                      "\n", FatesText(fates), NotesText(ReplacedNotes(summary)),
                      NotesText(model_.notes));
}

}  // namespace tvl
