// tvl tokenize: a text as the model sees it, and back.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/in_file.h"
#include "core/mapped_file.h"
#include "core/token.h"
#include "models/embedded/embedded_model.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_tokenizer.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_reader.h"
#include "tools/command.h"
#include "tools/model.h"
#include "tools/model_input.h"
#include "tools/output.h"
#include "tools/text_input.h"

namespace tvl {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> text;
  std::string file;
  std::optional<std::string> decode;
  bool bos = false;
  bool parse_special = false;
};

// A tokenizer and the memory that it points into.
struct Opened {
  std::optional<MappedFile> file;
  std::optional<TvlReader> reader;
  std::string section;  // of a GGUF file
  std::optional<Tokenizer> tokenizer;
};

absl::Status OpenGgufVocabulary(const std::string& path, Opened* opened) {
  const absl::StatusOr<GgufFile> gguf = ParseGguf(opened->file->bytes());
  if (!gguf.ok()) return InFile(path, gguf.status());
  const auto pieces = gguf->metadata.Strings("tokenizer.ggml.tokens");
  if (!pieces.ok()) return InFile(path, pieces.status());
  const auto data =
      ImportGgufTokenizer(gguf->metadata, static_cast<uint32_t>(pieces->size()), nullptr);
  if (!data.ok()) return InFile(path, data.status());
  opened->section = SerializeTokenizer(*data);
  const auto view =
      ParseTokenizer(std::as_bytes(std::span(opened->section.data(), opened->section.size())));
  if (!view.ok()) return InFile(path, view.status());
  auto tokenizer = Tokenizer::Create(*view);
  if (!tokenizer.ok()) return InFile(path, tokenizer.status());
  opened->tokenizer = *tokenizer;
  return absl::OkStatus();
}

// Of a .tvl or GGUF file, which may hold a vocabulary alone, or of the embedded model.
absl::Status OpenVocabulary(const std::string& path, Opened* opened) {
  std::span<const std::byte> bytes = EmbeddedModel();
  if (!path.empty()) {
    absl::StatusOr<MappedFile> file = OpenModelInput(path);
    if (!file.ok()) return file.status();
    opened->file = *std::move(file);
    bytes = opened->file->bytes();
    if (IsGguf(bytes)) return OpenGgufVocabulary(path, opened);
  }
  absl::StatusOr<TvlReader> reader =
      TvlReader::Parse(bytes, path.empty() ? kEmbeddedModelName : path);
  if (!reader.ok()) return reader.status();
  opened->reader = *std::move(reader);
  absl::StatusOr<Tokenizer> tokenizer = OpenTokenizer(*opened->reader);
  if (!tokenizer.ok()) return tokenizer.status();
  opened->tokenizer = *tokenizer;
  return absl::OkStatus();
}

absl::StatusOr<std::string> TextOf(const Options& options) {
  if (options.text && options.text != "-") return *options.text;
  return ReadText(options.text ? "-" : options.file);
}

// The text of ids with spaces or commas between. A beginning-of-sequence token adds nothing, and
// what follows it or begins is the beginning of a text.
absl::StatusOr<std::string> TextOfIds(const Tokenizer& tokenizer, std::string_view ids) {
  std::string text;
  TokenId previous = tokenizer.bos_id();
  for (const absl::string_view id :
       absl::StrSplit(absl::string_view(ids.data(), ids.size()), absl::ByAnyChar(" ,\r\n\t"),
                      absl::SkipEmpty())) {
    TokenId token = -1;
    if (!absl::SimpleAtoi(id, &token) || token < 0 ||
        static_cast<size_t>(token) >= tokenizer.vocab_size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--decode: expected ids from 0 to ", tokenizer.vocab_size() - 1, ", found '", id, "'"));
    }
    if (token != tokenizer.bos_id()) text += tokenizer.Decode(previous, token);
    previous = token;
  }
  return text;
}

absl::Status Run(const Options& options) {
  Opened opened;
  if (absl::Status s = OpenVocabulary(options.model, &opened); !s.ok()) return s;
  if (options.decode) {
    const absl::StatusOr<std::string> ids =
        *options.decode == "-" ? ReadText("-") : *options.decode;
    if (!ids.ok()) return ids.status();
    const absl::StatusOr<std::string> text = TextOfIds(*opened.tokenizer, *ids);
    if (!text.ok()) return text.status();
    return Print(absl::StrCat(*text, "\n"));
  }
  const absl::StatusOr<std::string> text = TextOf(options);
  if (!text.ok()) return text.status();
  std::vector<TokenId> tokens;
  opened.tokenizer->Encode(*text, {.bos = options.bos, .parse_special = options.parse_special},
                           &tokens);
  return Print(absl::StrCat(absl::StrJoin(tokens, " "), "\n"));
}

}  // namespace

void AddTokenize(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      app.add_subcommand("tokenize", "Show the tokens of a text, or the text of tokens");
  sub->footer(
      "Prints the ids of the tokens with spaces between. The model may be a .tvl or a GGUF file, "
      "also "
      "one that holds a\n"
      "vocabulary alone.\n"
      "\n"
      "Examples:\n"
      "  tvl tokenize \"Once upon a time\"\n"
      "  tvl tokenize -m model.gguf --file tales.txt | wc -w\n"
      "  curl -s https://example.org/tale.txt | tvl tokenize --file -\n"
      "  tvl tokenize --decode \"403 407 261 378\"");
  AddModel(*sub, &options->model);
  CLI::Option* text =
      sub->add_option("TEXT", options->text, "The text; - reads standard input")->type_name("");
  CLI::Option* file =
      AddFileName(*sub, "-f,--file", &options->file, "The text, a file; - reads standard input");
  CLI::Option* decode =
      sub->add_option("--decode", options->decode,
                      "Ids, to be turned into text instead; - reads standard input")
          ->type_name("IDS");
  CLI::Option* bos =
      sub->add_flag("--bos", options->bos, "Begin with the beginning-of-sequence token");
  CLI::Option* special = sub->add_flag("--parse-special", options->parse_special,
                                       "The text of a control token, such as </s>, is that token");
  sub->callback([=] {
    if ((text->count() > 0) + (file->count() > 0) + (decode->count() > 0) != 1)
      throw CLI::ValidationError("expected exactly one of TEXT, --file and --decode");
    if (decode->count() > 0 && bos->count() > 0) throw CLI::ExcludesError("--decode", "--bos");
    if (decode->count() > 0 && special->count() > 0)
      throw CLI::ExcludesError("--decode", "--parse-special");
    *action = [options] { return Run(*options); };
  });
}

}  // namespace tvl
