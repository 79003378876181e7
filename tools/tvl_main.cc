// tvl: one program, one subcommand per task. Exit codes: 0; 1 bad input; 2 wrong usage; 128 + a
// signal: 130 Ctrl-C, 141 when nobody reads the output any more.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backends/selected.h"
#include "core/cpu_features.h"
#include "core/kernel.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/mapping_fault.h"
#include "tools/output.h"
#include "tools/printable.h"
#include "tools/version.h"

namespace tvl {
namespace {

constexpr int kExitBadInput = 1;
constexpr int kExitUsage = 2;

#ifdef __clang__
constexpr char kCompiler[] = __VERSION__;
#else
constexpr char kCompiler[] = "GCC " __VERSION__;
#endif

std::string VersionText() {
  std::string isa = CompiledIsa();
  while (!isa.empty() && isa.back() == ' ') isa.pop_back();
  return absl::StrCat("tvl ", kVersion, "\nbackend:   ", std::string(SelectedKernel::kName),
                      "\nisa:       ", isa.empty() ? "baseline" : isa, "\ncompiler:  ", kCompiler,
                      "\ncontract:  ", kContractVersion, "\n");
}

// A sentence may hold names of files and other people's text.
int Fail(int code, const std::string& sentence) {
  PrintNote(absl::StrCat("tvl: ", Printable(sentence), "\n"));
  return code;
}

int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  if (absl::IsCancelled(status)) return InterruptExitCode();
  return Fail(kExitBadInput, std::string(status.message()));
}

// CLI11 ends some messages with a newline or spreads them over several lines.
std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) c = c == '\n' ? ' ' : c;
  return text;
}

std::string CommandNames(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  const std::string last = names.back();
  names.pop_back();
  return absl::StrCat(absl::StrJoin(names, ", "), " or ", last);
}

// What the commands on the command line did not take.
void AddRemaining(const CLI::App& app, std::vector<std::string>* extras) {
  for (const CLI::App* sub : app.get_subcommands()) {
    const std::vector<std::string> more = sub->remaining();
    extras->insert(extras->end(), more.begin(), more.end());
    AddRemaining(*sub, extras);
  }
}

// What no option and no command took, in its order; CLI11's own message has it backwards.
std::string Unexpected(CLI::App& app) {
  std::vector<std::string> extras = app.remaining();
  if (!extras.empty() && extras.front().compare(0, 1, "-") != 0) {
    return absl::StrCat("there is no command ", extras.front(), "; expected ", CommandNames(app));
  }
  AddRemaining(app, &extras);
  return absl::StrCat("unexpected argument", extras.size() == 1 ? "" : "s", ": ",
                      absl::StrJoin(extras, " "));
}

// CLI11 counts, "--seed: At Most 1 required but received 2", and of a flag it has another sentence:
// "stats was given a disallowed flag override".
std::string WrongCount(const CLI::ArgumentMismatch& error) {
  const std::string text = error.what();
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    return absl::StrCat(text.substr(0, colon), ": expected exactly one value");
  }
  return absl::StrCat("--", text.substr(0, text.find(' ')), ": expected no value");
}

int UsageError(const CLI::App& app, const std::string& sentence) {
  std::string command = "tvl";
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    absl::StrAppend(&command, " ", at->get_name());
  }
  return Fail(kExitUsage, absl::StrCat(sentence, " (see '", command, " --help')"));
}

// "--stats=3" is a mistake, which CLI11 would take for --stats; "--stats=true" it still does.
void RefuseValuesOfFlags(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) option->disable_flag_override();
  }
  for (CLI::App* sub : app.get_subcommands({})) RefuseValuesOfFlags(*sub);
}

// An option that is given again has its last value, as in other programs: whoever adds to a command
// line that is there already need not look for it. Of a list (--recipe) all count.
void LetTheLastWin(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw &&
        !option->get_positional())
      option->take_last();
  }
  for (CLI::App* sub : app.get_subcommands({})) LetTheLastWin(*sub);
}

// Keeps a file that is opened later from getting the number of a standard stream that is closed,
// and the text that is meant for that. Writing to these fails as it would without.
void ReserveStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDONLY) != fd) _exit(kExitBadInput);
  }
}

int Main(int argc, char** argv) {
  ReserveStandardStreams();
  HandleInterrupts();
  HandleMappingFaults();
  CLI::App app(
      "Runs Llama-family language models on the CPU, from one file that is mapped and used as it "
      "is.",
      "tvl");
  app.get_formatter()->column_width(26);
  app.get_formatter()->label("REQUIRED", "");
  app.set_version_flag("--version", VersionText,
                       "Print version, backend, instruction set and compiler, and exit");
  app.footer(
      "Examples:\n"
      "  tvl generate                                 a story by the model inside this program\n"
      "  tvl generate -p \"Lily and Tom\" --temperature 0.8 --seed 7\n"
      "  tvl chat                                     the same by turns, with you\n"
      "  tvl generate -m llama-3.2-1b-q4_0.gguf      by another, converted when first used\n"
      "  tvl convert stories15M.bin stories15M.tvl --tokenizer tokenizer.bin\n"
      "  tvl generate -m stories15M.tvl --stats\n"
      "  tvl bench -m stories15M.tvl                  how fast it runs here\n"
      "'tvl SUBCOMMAND --help' says more about each.");
  app.require_subcommand(0, 1);  // a second one would run instead of the first
  Action action;
  AddGenerate(app, &action);
  AddChat(app, &action);
  AddConvert(app, &action);
  AddInspect(app, &action);
  AddVerify(app, &action);
  AddFingerprint(app, &action);
  AddTokenize(app, &action);
  AddPerplexity(app, &action);
  AddBench(app, &action);
  AddCache(app, &action);
  RefuseValuesOfFlags(app);
  LetTheLastWin(app);
  try {
    app.parse(argc, argv);
    if (!action) {
      return UsageError(app, absl::StrCat("expected a command: ", CommandNames(app)));
    }
  } catch (const CLI::CallForHelp&) {
    return Finish(Print(app.help()));
  } catch (const CLI::CallForVersion&) {
    return Finish(Print(VersionText()));
  } catch (const CLI::ExtrasError&) {
    return UsageError(app, OneLine(Unexpected(app)));
  } catch (const CLI::ArgumentMismatch& error) {
    return UsageError(app, WrongCount(error));
  } catch (const CLI::ParseError& error) {
    return UsageError(app, OneLine(error.what()));
  }
  return Finish(action());
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  try {
    return tvl::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    tvl::PrintNote("tvl: out of memory\n");
    return tvl::kExitBadInput;
  } catch (const std::exception& error) {  // threads that cannot be started, for one
    return tvl::Fail(tvl::kExitBadInput, tvl::OneLine(error.what()));
  }
}
