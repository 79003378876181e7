// tvl perplexity: how well a model predicts a text.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/selected.h"
#include "core/canonical_math.h"
#include "tools/command.h"
#include "tools/evaluation.h"
#include "tools/model.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/text_input.h"
#include "tools/units.h"

namespace tvl {
namespace {

using EngineType = Engine<SelectedKernel>;

struct Options {
  std::string model;
  std::string file;
  std::string against;
  uint64_t context = 0;
  uint64_t threads = 0;
  KvType kv_type = SessionOptions().kv_type;
};

// Pieces are compared, not only their number: token ids must mean the same.
absl::Status CheckSameVocabulary(const TvlReader& model, const TvlReader& other) {
  const absl::StatusOr<Tokenizer> a = OpenTokenizer(model);
  if (!a.ok()) return a.status();
  const absl::StatusOr<Tokenizer> b = OpenTokenizer(other);
  if (!b.ok()) return b.status();
  const std::string expected =
      absl::StrCat(other.name(), ": expected the vocabulary of ", model.name(), " (",
                   a->vocab_size(), " pieces), found ");
  if (b->vocab_size() != a->vocab_size())
    return absl::InvalidArgumentError(absl::StrCat(expected, b->vocab_size(), " pieces"));
  for (TokenId id = 0; static_cast<size_t>(id) < a->vocab_size(); ++id) {
    if (a->view().piece(id) == b->view().piece(id)) continue;
    return absl::InvalidArgumentError(absl::StrCat(expected, "another piece ", id));
  }
  return absl::OkStatus();
}

std::string Row(const char* name, const std::string& value) {
  return absl::StrFormat("%-19s %s\n", name, value);
}

// "3.1416 +/- 0.0012"; one number alone has no error.
std::string WithError(int decimals, double value, double error) {
  const std::string text = absl::StrFormat("%.*f", decimals, value);
  return std::isnan(error) ? text : absl::StrFormat("%s +/- %.*f", text, decimals, error);
}

// e^mean, with the error that the mean's makes of it.
std::string Exponential(const Mean& mean) {
  const double value = CanonicalExp(mean.mean());
  return WithError(6, value, value * mean.standard_error());
}

std::string Describe(const Evaluation& e, uint64_t window, const std::string& against) {
  std::string out =
      Row("tokens", absl::StrCat(e.nats.count(), " in ", e.windows,
                                 e.windows == 1 ? " window" : " windows", " of up to ", window));
  out += Row("nats per token", absl::StrFormat("%.6f", e.nats.mean()));
  out += Row("standard error", std::isnan(e.nats.standard_error())
                                   ? "unknown"
                                   : absl::StrFormat("%.6f", e.nats.standard_error()));
  out += Row("perplexity", Exponential(e.nats));
  if (against.empty()) return out;
  out += Row("against", against);
  out += Row("its perplexity", Exponential(e.other_nats));
  out += Row("perplexity ratio", Exponential(e.difference));
  out += Row("KL divergence",
             absl::StrCat(WithError(9, e.divergence.mean(), e.divergence.standard_error()),
                          " nats, D(other || model)"));
  out += Row("same top token", absl::StrFormat("%.4f%%", 100 * e.agreement()));
  return out;
}

absl::StatusOr<uint64_t> WindowFor(const Options& options, const TvlReader& model,
                                   const TvlReader* other) {
  uint64_t window = model.config().context_length;
  if (other != nullptr) window = std::min<uint64_t>(window, other->config().context_length);
  if (options.context == 0 && window < 2) {
    return absl::FailedPreconditionError(
        absl::StrCat(model.name(), ": a context of 1 position leaves nothing to predict"));
  }
  if (options.context == 0) return window;
  if (absl::Status s = CheckContext(options.context, model); !s.ok()) return s;
  if (other != nullptr) {
    if (absl::Status s = CheckContext(options.context, *other); !s.ok()) return s;
  }
  return options.context;
}

// The whole text as one sequence, without the tokens that begin and end one.
absl::StatusOr<std::vector<TokenId>> ReadTokens(const std::string& path, const Tokenizer& tokenizer,
                                                bool bos) {
  const absl::StatusOr<std::string> text = ReadText(path);
  if (!text.ok()) return text.status();
  std::vector<TokenId> tokens;
  tokenizer.Encode(*text, {.bos = false, .eos = false}, &tokens);
  const size_t needed = bos ? 1 : 2;
  if (tokens.size() >= needed) return tokens;
  return absl::InvalidArgumentError(absl::StrCat(path == "-" ? "standard input" : path,
                                                 ": expected a text of at least ",
                                                 FormatTokens(needed), ", found ", tokens.size()));
}

absl::Status Run(const Options& options) {
  auto model = OpenModel<SelectedKernel>(options.model, {.threads = options.threads});
  if (!model.ok()) return model.status();
  std::unique_ptr<EngineType> other;
  if (!options.against.empty()) {
    auto opened = OpenModel<SelectedKernel>(options.against, {.threads = options.threads});
    if (!opened.ok()) return opened.status();
    other = *std::move(opened);
    if (absl::Status s = CheckSameVocabulary((*model)->reader(), other->reader()); !s.ok())
      return s;
  }
  const absl::StatusOr<Tokenizer> tokenizer = OpenTokenizer((*model)->reader());
  if (!tokenizer.ok()) return tokenizer.status();
  const absl::StatusOr<uint64_t> window =
      WindowFor(options, (*model)->reader(), other == nullptr ? nullptr : &other->reader());
  if (!window.ok()) return window.status();
  const TokenId bos = tokenizer->default_options().bos ? tokenizer->bos_id() : -1;
  const auto text = ReadTokens(options.file, *tokenizer, bos >= 0);
  if (!text.ok()) return text.status();

  auto evaluator =
      Evaluator<SelectedKernel>::Create(model->get(), other.get(), *window, options.kv_type);
  if (!evaluator.ok()) return evaluator.status();
  const absl::StatusOr<Evaluation> evaluation = [&] {
    Progress progress("evaluating");
    return evaluator->Run(*text, bos,
                          [&](uint64_t done, uint64_t total) { progress.Update(done, total); });
  }();
  if (!evaluation.ok()) return evaluation.status();
  return Print(Describe(*evaluation, *window, options.against));
}

}  // namespace

void AddPerplexity(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  sub->footer(
      "The text is tokenized as a whole and cut into consecutive windows of --context tokens. Each "
      "window begins with\n"
      "the model's BOS token, or for a model without one with the token before it, and every token "
      "after that is\n"
      "predicted once, from those before it in its window. The digits depend on model, text and "
      "window only: not on\n"
      "the machine, the backend or --threads. Errors are standard errors, as if tokens were "
      "independent.\n"
      "\n"
      "--against compares the model with another one token by token: the ratio of their "
      "perplexities, the mean\n"
      "Kullback-Leibler divergence D(other || model), and how often both find the same token "
      "likeliest.\n"
      "\n"
      "Example:\n"
      "  tvl perplexity -m stories15M-q8.tvl --against stories15M.tvl --file tales.txt");
  AddModel(*sub, &options->model);
  AddFileName(*sub, "-f,--file", &options->file,
              "The text, a file; - reads standard input; required")
      ->required()
      ->type_name("TEXT");
  AddMappedFile(
      *sub, "--against", &options->against,
      "Another .tvl or GGUF file with the same vocabulary, such as the one with all bits");
  AddCount(*sub, kContextNames, 2, kMaxPositions, &options->context,
           "Tokens in a window (default: the model's context)");
  AddThreads(*sub, &options->threads);
  AddKvType(*sub, &options->kv_type);
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
