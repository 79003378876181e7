// tvl generate: text from a model, streamed.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/selected.h"
#include "core/trace.h"
#include "models/atomic_file.h"
#include "models/file_kind.h"
#include "models/finite_weights.h"
#include "models/session_file.h"
#include "models/trace_file.h"
#include "samplers/standard_chain.h"
#include "tools/chat/visible_text.h"
#include "tools/command.h"
#include "tools/file_lock.h"
#include "tools/generation.h"
#include "tools/interrupt.h"
#include "tools/mapped_pages.h"
#include "tools/model.h"
#include "tools/output.h"
#include "tools/output_file.h"
#include "tools/percentile.h"
#include "tools/run_options.h"
#include "tools/sampling_options.h"
#include "tools/text_input.h"
#include "tools/units.h"

namespace tvl {
namespace {

struct Options {
  RunOptions run;
  std::string prompt;
  std::string file;  // that holds it
  uint64_t max_tokens = 256;
  SamplingOptions sampling;
  bool stats = false;
  std::string trace;
  bool force = false;
  std::string session;
  bool kv_type_given = false;
};

// Of each thread: 3 MB, hundreds of tokens of a model with a dozen layers.
constexpr size_t kTraceEvents = size_t{1} << 17;

void PrintStats(Engine<SelectedKernel>& engine, const std::string& why,
                const SamplingOptions& sampling, double load_seconds,
                const GenerationStats& stats) {
  const size_t steps = stats.step_seconds.size();
  const auto row = [](const char* name, const std::string& value) {
    PrintNote(absl::StrFormat("%-16s %s\n", name, value));
  };
  row("model",
      absl::StrCat(engine.reader().name(), ", ", FormatBytes(engine.reader().bytes().size())));
  row("backend", absl::StrCat(std::string(SelectedKernel::kName), ", ", engine.threads(),
                              engine.threads() == 1 ? " thread" : " threads"));
  row("threads", absl::StrCat(engine.threads(), " (", why, engine.pinned() ? ", pinned)" : ")"));
  row("sampling", Describe(sampling));
  row("load", FormatSeconds(load_seconds));
  row("prefill", absl::StrFormat("%s in %s, %.1f tokens/s", FormatTokens(stats.prompt_tokens),
                                 FormatSeconds(stats.prefill_seconds),
                                 static_cast<double>(stats.prompt_tokens) / stats.prefill_seconds));
  if (stats.new_tokens == 0) return;
  row("first token", FormatSeconds(stats.first_token_seconds));
  if (steps == 0) return;
  row("decode", absl::StrFormat("%s in %s, %.1f tokens/s", FormatTokens(steps),
                                FormatSeconds(stats.decode_seconds()), stats.decode_rate()));
  row("per token",
      absl::StrFormat("p50 %.3f ms, p99 %.3f ms", Percentile(stats.step_seconds, 0.5) * 1e3,
                      Percentile(stats.step_seconds, 0.99) * 1e3));
  row("weights read",
      absl::StrFormat(
          "%s per token, %.2f GB/s", FormatBytes(engine.reader().BytesPerToken()),
          static_cast<double>(engine.reader().BytesPerToken()) * stats.decode_rate() / 1e9));
  const MappedPages pages = LookAtPages(engine.reader().bytes());
  if (const std::string text = PagesText(pages); !text.empty()) row("pages", text);
  if (!pages.small()) return;
  const double rate = RateBesideLargePages(engine.reader().bytes(), engine.pool());
  PrintNote(absl::StrCat("tvl: ", SmallPagesText(engine.reader().name(), rate), "\n"));
}

// Says what --huge-pages has done.
void NoteCopy(const WeightMemory& memory) {
  if (memory.copied_bytes() == 0) return;
  PrintNote(absl::StrCat("tvl: copied the model's ", FormatBytes(memory.copied_bytes()),
                         " into memory, ", FormatBytes(memory.huge_page_bytes()),
                         " of it in huge pages\n"));
}

// The file that --session names, which this run holds until it has written it.
struct SessionPlace {
  std::optional<FileLock> lock;
  std::optional<SessionFile> saved;  // what is in it; none: a session begins
};

// Says early if the session could not be written.
absl::StatusOr<SessionPlace> FindSession(const Options& options) {
  SessionPlace place;
  if (options.session.empty()) return place;
  if (!options.run.model.empty() && SameFile(options.session, options.run.model)) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.session, ": the session would replace the model"));
  }
  if (absl::StatusOr<AtomicFile> file = AtomicFile::Create(options.session); !file.ok())
    return file.status();
  absl::StatusOr<FileLock> lock = FileLock::TryItself(options.session);
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(absl::StrCat(
        options.session,
        ": another run of tvl goes on with this session; wait for its end, or name another file"));
  }
  if (!lock.ok()) return lock.status();
  place.lock = *std::move(lock);
  if (place.lock->IsEmpty()) return place;
  absl::StatusOr<SessionFile> saved = SessionFile::Open(options.session);
  if (saved.ok()) {
    place.saved = *std::move(saved);
  } else if (!options.force) {
    return saved.status();
  }
  return place;
}

// Resumes the session that was saved. Returns the tokens that it is to run before it writes: those
// left over, and `prompt`.
absl::StatusOr<std::vector<TokenId>> Resume(const SessionFile& saved, const Tokenizer& tokenizer,
                                            const std::string& prompt,
                                            Engine<SelectedKernel>::SessionType* session) {
  if (absl::Status s = session->Resume(saved); !s.ok()) return s;
  const std::span<const TokenId> rest = saved.info().tokens.subspan(saved.info().positions);
  std::vector<TokenId> tokens(rest.begin(), rest.end());
  if (!prompt.empty())
    tokenizer.Encode(prompt, {.continues = !saved.info().tokens.empty()}, &tokens);
  if (tokens.empty() && session->position() > 0) {
    // What follows the last token is known once it is run again.
    tokens.push_back(session->tokens().back());
    session->Rewind(session->position() - 1);
  }
  return tokens;
}

// Writes the session to its file: what was run, and then what of `tokens`, and of the text, was
// not.
absl::Status KeepSession(const Options& options, std::span<const TokenId> tokens,
                         const GenerationStats& stats, uint64_t steps_before,
                         const Engine<SelectedKernel>::SessionType& session) {
  const std::span<const TokenId> not_run = tokens.subspan(stats.prompt_tokens);
  std::vector<TokenId> rest(not_run.begin(), not_run.end());
  if (stats.not_run) rest.push_back(*stats.not_run);
  return session.Save(options.session, rest, steps_before + stats.new_tokens);
}

// Says why a text has ended where people may not expect it.
void NoteEnd(const Options& options, StopReason stop, const GenerationStats& stats,
             uint64_t steps_before, size_t context) {
  if (steps_before > 0 && stop == StopReason::kEndToken && stats.new_tokens == 0) {
    PrintNote(absl::StrCat("tvl: ", options.session,
                           ": the model has ended its text; give a prompt to go on\n"));
  }
  if (stop == StopReason::kContextEnd) {
    PrintNote(absl::StrCat("tvl: stopped at the end of the context (", context,
                           context == 1 ? " position" : " positions", ")\n"));
  }
}

// Where the trace goes, if there is to be one: before it is too late to say that it cannot be
// written.
absl::StatusOr<std::optional<OutputFile>> CreateTrace(const Options& options) {
  if (options.trace.empty()) return std::nullopt;
  if (!options.run.model.empty() && SameFile(options.trace, options.run.model)) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.trace, ": the trace would replace the model"));
  }
  if (options.trace == options.session || SameFile(options.trace, options.session)) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.trace, ": the trace would replace the session"));
  }
  absl::StatusOr<OutputFile> file =
      OutputFile::Create(options.trace, FileKind::kTrace, options.force);
  if (!file.ok()) return file.status();
  return std::optional<OutputFile>(*std::move(file));
}

absl::Status KeepTrace(const Trace& trace, OutputFile* file) {
  const auto append = [&](std::string_view text) { return file->Append(text); };
  if (absl::Status s = WriteTrace(trace, append); !s.ok()) return s;
  return file->Commit();
}

using Session = Engine<SelectedKernel>::SessionType;

// The tokens that are to be run before the model writes: of the prompt, and of the session that
// `saved` holds, which goes on.
absl::StatusOr<std::vector<TokenId>> TokensToRun(const Options& options,
                                                 const std::optional<SessionFile>& saved,
                                                 const Tokenizer& tokenizer,
                                                 const std::string& prompt, Session* session) {
  absl::StatusOr<std::vector<TokenId>> tokens =
      saved ? Resume(*saved, tokenizer, prompt, session) : EncodePrompt(tokenizer, prompt);
  if (!tokens.ok()) return tokens.status();
  const size_t resumed = session->position();
  const size_t trained = session->config().context_length;
  if (saved && resumed + tokens->size() > session->context()) {
    return absl::OutOfRangeError(absl::StrCat(
        options.session, ": expected room for ", tokens->size(), " more of ", session->context(),
        " positions, found ", session->context() - resumed,
        session->context() < trained ? "; use a larger --context" : "; begin another session"));
  }
  if (absl::Status s = CheckFits(tokens->size(), session->context(), trained); !s.ok()) return s;
  return tokens;
}

// Writes what the model makes of the tokens to standard output.
absl::StatusOr<StopReason> WriteText(const Options& options, const Tokenizer& tokenizer,
                                     uint64_t steps_before, Trace* trace, Session* session,
                                     std::vector<TokenId>* tokens, ShownText* shown,
                                     GenerationStats* stats) {
  const auto sink = [shown](std::string_view text) {
    absl::Status status = shown->Push(text, Print);
    return status.ok() ? InterruptGuard::status() : status;
  };
  StandardChain sampler = MakeStandardChain(options.sampling);
  return Generate(*session, tokenizer, *tokens, options.max_tokens, sampler, sink, stats,
                  trace == nullptr ? nullptr : &trace->ring(0), steps_before);
}

absl::Status Run(const Options& options) {
  std::string prompt = options.prompt;
  if (prompt == "-" || !options.file.empty()) {
    absl::StatusOr<std::string> input = ReadPrompt(prompt == "-" ? "-" : options.file);
    if (!input.ok()) return input.status();
    prompt = *std::move(input);
  }
  absl::StatusOr<std::optional<OutputFile>> trace_file = CreateTrace(options);
  if (!trace_file.ok()) return trace_file.status();
  absl::StatusOr<SessionPlace> place = FindSession(options);
  if (!place.ok()) return place.status();
  std::optional<SessionFile>& saved = place->saved;
  const Stopwatch loading;
  std::string why;
  auto engine = OpenTunedModel(options.run, options.trace.empty() ? 0 : kTraceEvents, &why);
  if (!engine.ok()) return engine.status();
  NoteCopy((*engine)->memory());
  absl::StatusOr<Tokenizer> tokenizer = OpenTokenizer((*engine)->reader());
  if (!tokenizer.ok()) return tokenizer.status();
  if (absl::Status s = CheckContext(options.run.context, (*engine)->reader()); !s.ok()) return s;
  SessionOptions session_options = options.run.session();
  if (saved && !options.kv_type_given) session_options.kv_type = saved->kv_type();
  absl::StatusOr<Session> session = (*engine)->NewSession(session_options);
  if (!session.ok()) return session.status();
  const double load_seconds = loading.seconds();

  const uint64_t steps_before = saved ? saved->info().steps : 0;
  auto tokens = TokensToRun(options, saved, *tokenizer, prompt, &*session);
  if (!tokens.ok()) return tokens.status();
  const InterruptGuard guard;
  ShownText shown(isatty(STDOUT_FILENO) != 0);
  if (absl::Status s = shown.Push(prompt, Print); !s.ok()) return s;
  GenerationStats stats;
  const auto stop = WriteText(options, *tokenizer, steps_before, (*engine)->trace(), &*session,
                              &*tokens, &shown, &stats);
  // Kept whatever ended the text, a full disk behind standard output, say; but what has led to no
  // numbers is no session to go on with.
  if (!options.session.empty() && !stats.not_finite) {
    saved.reset();  // before its file is replaced
    if (absl::Status s = KeepSession(options, *tokens, stats, steps_before, *session); !s.ok())
      return s;
  }
  const bool ended = stop.ok() || absl::IsCancelled(stop.status()) || stats.not_finite;
  if (!ended) return stop.status();
  if (absl::Status s = shown.Finish(Print); !s.ok()) return s;
  if (absl::Status s = Print("\n"); !s.ok()) return s;
  if (stats.not_finite) return WithCause(stop.status(), (*engine)->reader());
  if (stop.ok()) NoteEnd(options, *stop, stats, steps_before, session->context());
  if (*trace_file) {
    if (absl::Status s = KeepTrace(*(*engine)->trace(), &**trace_file); !s.ok()) return s;
  }
  if (options.stats) PrintStats(**engine, why, options.sampling, load_seconds, stats);
  return stop.status();
}

}  // namespace

void AddGenerate(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("generate", "Write text with a model");
  sub->footer(
      "The prompt and what the model makes of it go to standard output as they come, everything "
      "else to standard\n"
      "error. Generation ends at the model's end token, after --max-tokens, or where the context "
      "ends.\n"
      "\n"
      "--top-k chooses first, then --top-p among those, then --min-p, all by what the model "
      "predicts; --temperature\n"
      "comes last. By default it is 0, and nothing is drawn.\n"
      "\n"
      "Without --threads, what 'tvl bench --tune' has found for this machine is used, if it has "
      "been "
      "run.\n"
      "\n"
      "By default the model's file is mapped, and a thread reads it just ahead of the first pass. "
      "--populate waits for all\n"
      "of it first, --mlock keeps it in memory as well, --huge-pages takes as much memory again "
      "as the file.\n"
      "\n"
      "--session keeps tokens and what attention remembers of them in a file, also after Ctrl-C; "
      "with "
      "the same options\n"
      "the text goes on as if it had never stopped. A prompt then follows what is there.\n"
      "\n"
      "Examples:\n"
      "  tvl generate\n"
      "  tvl generate -p \"Once upon a time\" -n 100 --stats\n"
      "  tvl generate --temperature 0.8 --top-k 40 --top-p 0.95 --seed 7\n"
      "  echo \"One day, a dog\" | tvl generate -m stories15M.tvl -p - --temperature 0.9 --seed "
      "42");
  AddModel(*sub, &options->run.model);
  const CLI::Option* prompt =
      sub->add_option("-p,--prompt", options->prompt,
                      "Text to go on from; - reads standard input (default: none)")
          ->type_name("TEXT");
  const CLI::Option* file = AddFileName(*sub, "-f,--file", &options->file,
                                        "A file with that text; - reads standard input");
  AddCount(*sub, kMaxTokensNames, 0, kMaxPositions, &options->max_tokens,
           "New tokens to write at most (default: 256)");
  AddEngineOptions(*sub, &options->run);
  AddSampling(*sub, &options->sampling);
  AddSessionOptions(*sub, &options->run, ", or as the session has them");
  AddMappedFile(*sub, "--session", &options->session,
                "Go on with the session in this file, if it is there, and keep it there");
  sub->add_flag("--stats", options->stats, "Print times and speeds to standard error");
  AddFileName(*sub, "--trace", &options->trace,
              "Write what each thread did when to this file, for chrome://tracing or Perfetto: "
              "the last 131,072 events of each");
  AddForce(*sub, &options->force);
  sub->callback([=] {
    if (prompt->count() > 0 && file->count() > 0) throw CLI::ExcludesError("--prompt", "--file");
    if (options->trace == "-") {
      throw CLI::ValidationError(
          "--trace", "standard output is where the text goes; name a file for the trace");
    }
    options->kv_type_given = sub->count("--kv-dtype") > 0;
    *action = [options] { return Run(*options); };
  });
}

}  // namespace tvl
