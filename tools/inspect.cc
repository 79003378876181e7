// tvl inspect: what is in a .tvl or GGUF file, and what running it will take.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "backends/selected.h"
#include "core/kv_cache.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/run_state.h"
#include "core/thread_pool.h"
#include "models/engine.h"
#include "models/file_kind.h"
#include "models/import/gguf_file.h"
#include "models/tvl_reader.h"
#include "nlohmann/json.hpp"
#include "tools/command.h"
#include "tools/inspect_gguf.h"
#include "tools/mapped_pages.h"
#include "tools/model_cache.h"
#include "tools/model_description.h"
#include "tools/model_input.h"
#include "tools/output.h"
#include "tools/output_file.h"
#include "tools/printable.h"
#include "tools/read_bandwidth.h"
#include "tools/units.h"

namespace tvl {
namespace {

struct Options {
  std::string path;
  bool predict = false;
  bool residency = false;
  std::string json;
  bool force = false;
};

void DescribeTokenizer(const TvlReader& reader, std::string* out) {
  absl::StrAppend(out, "\nTokenizer\n");
  if (!reader.has_tokenizer()) {
    Row(out, "kind", "none");
    return;
  }
  const TokenizerView& t = reader.tokenizer();
  std::string ends;
  for (size_t i = 0; i < t.end_token_count(); ++i)
    absl::StrAppend(&ends, i > 0 ? ", " : "", t.end_token(i));
  Row(out, "kind", KindName(t.kind()));
  Row(out, "pieces", FormatCount(t.vocab_size()));
  Row(out, "begins with", t.bos_id() >= 0 ? absl::StrCat("token ", t.bos_id()) : "nothing");
  Row(out, "ends at", ends.empty() ? "no token" : absl::StrCat("token ", ends));
  Row(out, "size", FormatBytes(reader.tokenizer_section().size()));
}

void DescribeTensors(const TvlReader& reader, std::string* out) {
  size_t width = 4;
  for (const TensorInfo& t : reader.tensors()) width = std::max(width, t.name.size());
  absl::StrAppendFormat(out, "\nTensors\n  %-*s  %-6s  %17s  %14s  %14s\n", width, "name", "type",
                        "shape", "offset", "bytes");
  uint64_t bytes = 0, weights = 0;
  for (const TensorInfo& t : reader.tensors()) {
    // An interleaved pair is two matrices of this shape.
    const uint64_t count = t.interleaved ? 2 : 1;
    const std::string shape = absl::StrCat(t.interleaved ? "2 x " : "", t.rows, " x ", t.cols);
    absl::StrAppendFormat(out, "  %-*s  %-6s  %17s  %14s  %14s\n", width, t.name,
                          TensorTypeName(t.type), shape, FormatCount(t.offset),
                          FormatCount(t.data.size()));
    bytes += t.data.size();
    if (t.name != "rope.inv_freq") weights += count * t.rows * t.cols;
  }
  absl::StrAppendFormat(out, "  %s tensors, %s weights, %s; %s are read to decode a token\n",
                        FormatCount(reader.tensors().size()), FormatCount(weights),
                        FormatBytes(bytes), FormatBytes(reader.BytesPerToken()));
  for (const TensorInfo& t : reader.ignored_entries()) {
    absl::StrAppend(out, "  ignored: ", t.name, ", ", FormatBytes(t.data.size()), " of type ",
                    t.type, ", which this version does not know\n");
  }
}

struct MemoryOfRun {
  uint64_t file;
  uint64_t cache;
  uint64_t activations;
};

MemoryOfRun MemoryFor(const TvlReader& reader) {
  const ModelConfig& c = reader.config();
  return {reader.bytes().size(), KvCache::BytesFor(c, c.context_length, SessionOptions().kv_type),
          RunState::BytesFor(c, Engine<SelectedKernel>::SessionType::StateShape(
                                    c.context_length, ThreadsFor(reader), {}))};
}

void DescribeMemory(const TvlReader& reader, std::string* out) {
  const size_t threads = ThreadsFor(reader);
  const MemoryOfRun memory = MemoryFor(reader);
  const uint64_t resident = ResidentBytes(reader.bytes());
  absl::StrAppend(out, "\nMemory of a run\n");
  Row(out, "weights",
      absl::StrCat(FormatBytes(memory.file),
                   ", mapped: the file itself, shared by all who run it"));
  Row(out, "KV cache",
      absl::StrCat(FormatBytes(memory.cache), " in ", KvTypeName(SessionOptions().kv_type),
                   " for the full context, taken as it fills"));
  Row(out, "activations",
      absl::StrCat(FormatBytes(memory.activations), " with ", threads,
                   threads == 1 ? " thread" : " threads"));
  Row(out, "in memory now",
      absl::StrFormat("%s of the file (%.0f%%)", FormatBytes(resident),
                      100.0 * static_cast<double>(resident) / static_cast<double>(memory.file)));
}

// What one number of threads can reach at most: decoding cannot be faster than reading.
void PredictSpeed(const TvlReader& reader, size_t threads, double seconds, std::string* out) {
  ThreadPool pool(threads);
  const double pass = MeasureRead(reader, pool, seconds).better();
  const double bytes = static_cast<double>(reader.BytesPerToken());
  Row(out, threads == 1 ? "1 thread" : absl::StrCat(threads, " threads"),
      absl::StrFormat("about %.1f tokens/s at most: %.1f GB/s of %s per token", 1 / pass,
                      bytes / pass / 1e9, FormatBytes(reader.BytesPerToken())));
}

void Predict(const TvlReader& reader, std::string* out) {
  constexpr double kSeconds = 2;
  const size_t threads = ThreadsFor(reader);
  absl::StrAppend(out, "\nEstimate for this machine, from reading the weights for ",
                  FormatSeconds(kSeconds), "\n");
  {
    // Brings in the file's pages, however long that takes.
    ThreadPool pool(threads);
    ReadOnce(reader, pool, ReadLoop::kPlain);
  }
  PredictSpeed(reader, 1, threads == 1 ? kSeconds : kSeconds / 2, out);
  if (threads > 1) PredictSpeed(reader, threads, kSeconds / 2, out);
  const MemoryOfRun memory = MemoryFor(reader);
  Row(out, "memory",
      absl::StrCat("about ", FormatBytes(memory.file + memory.cache + memory.activations),
                   ": page cache of the file, full KV cache, activations"));
}

// Part of a file, and how much of it is in memory.
class Residency {
 public:
  explicit Residency(const TvlReader& reader) : file_(reader.bytes()) {}

  // `bytes` from `offset` on.
  void Add(uint64_t offset, uint64_t bytes) {
    bytes_ += bytes;
    resident_ += ResidentBytes(file_.subspan(offset, bytes));
  }
  std::string Describe() const {
    return absl::StrFormat(
        "%s of %s (%.0f%%)", FormatBytes(resident_), FormatBytes(bytes_),
        bytes_ == 0 ? 100.0 : 100.0 * static_cast<double>(resident_) / static_cast<double>(bytes_));
  }

 private:
  std::span<const std::byte> file_;
  uint64_t bytes_ = 0;
  uint64_t resident_ = 0;
};

// The layer of "layers.N.name", or n_layers for a tensor that is of none.
size_t LayerOf(const TensorInfo& tensor, size_t n_layers) {
  constexpr absl::string_view kPrefix = "layers.";
  absl::string_view name = tensor.name;
  size_t layer = 0;
  if (!absl::ConsumePrefix(&name, kPrefix)) return n_layers;
  if (!absl::SimpleAtoi(name.substr(0, name.find('.')), &layer)) return n_layers;
  return std::min(layer, n_layers);
}

void DescribeResidency(const TvlReader& reader, std::string* out) {
  const size_t n_layers = reader.config().n_layers;
  uint64_t first_tensor = reader.bytes().size();
  Residency all(reader), head(reader), others(reader), embedding(reader), classifier(reader);
  std::vector<Residency> layers(n_layers, Residency(reader));
  all.Add(0, reader.bytes().size());
  for (const TensorInfo& t : reader.tensors()) {
    first_tensor = std::min(first_tensor, t.offset);
    const size_t layer = LayerOf(t, n_layers);
    Residency* part = &others;
    if (layer < n_layers) part = &layers[layer];
    if (t.name == "token_embedding") part = &embedding;
    if (t.name == "classifier") part = &classifier;
    part->Add(t.offset, t.data.size());
  }
  head.Add(0, first_tensor);
  const bool tied = reader.config().tied_classifier;
  absl::StrAppend(out, "\nIn memory now, by whole pages\n");
  Row(out, "file", all.Describe());
  Row(out, "head", absl::StrCat(head.Describe(), ": configuration, directory, tokenizer"));
  if (!tied) Row(out, "embedding", embedding.Describe());
  for (size_t layer = 0; layer < n_layers; ++layer)
    Row(out, absl::StrCat("layer ", layer), layers[layer].Describe());
  Row(out, "classifier",
      tied ? absl::StrCat(embedding.Describe(), ": the embedding, too") : classifier.Describe());
  Row(out, "others", others.Describe());
}

// How what is in memory is mapped, once it is.
void DescribePages(const TvlReader& reader, std::string* out) {
  const MappedPages pages = LookAtPages(reader.bytes());
  if (const std::string text = PagesText(pages); !text.empty()) Row(out, "pages", text);
  if (!pages.small()) return;
  ThreadPool pool(ThreadsFor(reader));
  absl::StrAppend(out, SmallPagesText(reader.name(), RateBesideLargePages(reader.bytes(), pool)),
                  "\n");
}

nlohmann::ordered_json TvlJson(const TvlReader& reader) {
  using Json = nlohmann::ordered_json;
  Json tensors = Json::array();
  for (const TensorInfo& t : reader.tensors()) {
    tensors.push_back({{"name", std::string(t.name.data(), t.name.size())},
                       {"type", TensorTypeName(t.type)},
                       {"rows", t.rows},
                       {"cols", t.cols},
                       {"interleaved", t.interleaved},
                       {"offset", t.offset},
                       {"bytes", t.data.size()}});
  }
  Json tokenizer = nullptr;
  if (reader.has_tokenizer()) {
    const TokenizerView& t = reader.tokenizer();
    Json ends = Json::array();
    for (size_t i = 0; i < t.end_token_count(); ++i) ends.push_back(t.end_token(i));
    tokenizer = {{"kind", KindName(t.kind())},
                 {"pieces", t.vocab_size()},
                 {"bos", t.bos_id()},
                 {"end_tokens", ends}};
  }
  const MemoryOfRun memory = MemoryFor(reader);
  return {{"inspected", reader.name()},
          {"format", "tvl"},
          {"version", absl::StrCat(reader.major(), ".", reader.minor())},
          {"bytes", reader.bytes().size()},
          {"runs", true},
          {"config", ConfigJson(reader.config())},
          {"bytes_per_token", reader.BytesPerToken()},
          {"kv_cache_bytes", memory.cache},
          {"activation_bytes", memory.activations},
          {"tokenizer", tokenizer},
          {"tensors", tensors}};
}

// To the file that --json names, as well as in words, or instead of them to standard output.
absl::Status Report(const std::string& text, const nlohmann::ordered_json& json, OutputFile* file) {
  if (file == nullptr) return Print(text);
  if (absl::Status s = file->Append(JsonText(json)); !s.ok()) return s;
  if (absl::Status s = file->Commit(); !s.ok()) return s;
  return file->is_standard_output() ? absl::OkStatus() : Print(text);
}

absl::Status RunTvl(const Options& options, OutputFile* json) {
  const std::string& path = options.path;
  const absl::StatusOr<TvlFile> opened = OpenTvlFile(path);
  if (!opened.ok()) return opened.status();
  const auto& [tvl_file, file] = *opened;
  absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), path);
  if (!reader.ok()) return reader.status();
  std::string out = absl::StrCat(
      Printable(path), ": ", tvl_file == path ? "" : absl::StrCat("as ", Printable(tvl_file), ", "),
      FormatBytes(file.bytes().size()), ", .tvl version ", reader->major(), ".", reader->minor(),
      "\n\nModel\n");
  DescribeConfig(reader->config(), &out);
  DescribeTokenizer(*reader, &out);
  DescribeTensors(*reader, &out);
  DescribeMemory(*reader, &out);
  if (options.residency) {
    DescribeResidency(*reader, &out);
    DescribePages(*reader, &out);
  }
  if (options.predict) Predict(*reader, &out);
  return Report(out, TvlJson(*reader), json);
}

absl::Status Run(const Options& options) {
  // Before seconds are spent on what cannot be written.
  std::optional<OutputFile> json;
  if (!options.json.empty()) {
    if (SameFile(options.json, options.path)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.json, ": the output would replace the model"));
    }
    absl::StatusOr<OutputFile> file =
        OutputFile::Create(options.json, FileKind::kReport, options.force);
    if (!file.ok()) return file.status();
    json.emplace(*std::move(file));
  }
  OutputFile* const to = json ? &*json : nullptr;
  // What these look at is the .tvl file that runs.
  if (options.predict || options.residency) return RunTvl(options, to);
  const absl::StatusOr<MappedFile> file = OpenModelInput(options.path);
  if (!file.ok()) return file.status();
  if (!IsGguf(file->bytes())) return RunTvl(options, to);
  const absl::StatusOr<GgufInspection> gguf = InspectGguf(options.path, *file);
  if (!gguf.ok()) return WithDownloadHint(options.path, gguf.status());
  return Report(gguf->text, gguf->json, to);
}

}  // namespace

void AddInspect(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      app.add_subcommand("inspect", "Show what a model holds and what running it takes");
  sub->footer(
      "Reads the directory, not the weights: it takes no time, however large the file is. "
      "--predict "
      "reads the weights for\n"
      "two seconds, and what it says is an estimate: memory bounds the speed of large models, and "
      "other things that of\n"
      "small ones.\n"
      "\n"
      "Of a GGUF file it shows what its own directory holds, and as what tvl runs it or why it "
      "cannot; it converts nothing,\n"
      "and takes one that holds a vocabulary alone, too. --predict and --residency look at the "
      ".tvl "
      "file that it is converted\n"
      "to when first used, which is then if need be.\n"
      "\n"
      "--residency tells for each part of the file how much of it is in memory, that is in the "
      "system's page cache. Where\n"
      "the file is not the user's, Linux says that all of it is.\n"
      "\n"
      "Example:\n"
      "  tvl inspect stories15M.tvl\n"
      "  tvl inspect llama-3.2-1b-q4_0.gguf --json -");
  AddMappedFile(*sub, "MODEL", &options->path, "A .tvl or GGUF file")->required()->type_name("");
  sub->add_flag("--predict", options->predict,
                "Estimate this machine's tokens per second and the memory that a run will need");
  sub->add_flag("--residency", options->residency,
                "Also tell how much of each layer is in memory now");
  AddFileName(*sub, "--json", &options->json,
              "Also write it as JSON to this file, or - for standard output instead of the text");
  AddForce(*sub, &options->force);
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
