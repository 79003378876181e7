// tvl chat: a conversation with a model.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "backends/selected.h"
#include "core/in_file.h"
#include "core/quoted.h"
#include "models/engine.h"
#include "models/finite_weights.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tvl_reader.h"
#include "tools/chat/chat_prompt.h"
#include "tools/chat/chat_session.h"
#include "tools/chat/chat_template.h"
#include "tools/chat/conversation.h"
#include "tools/chat/line_editor.h"
#include "tools/chat/line_source.h"
#include "tools/chat/message_reader.h"
#include "tools/chat/saved_files.h"
#include "tools/chat/template_recogniser.h"
#include "tools/chat/visible_text.h"
#include "tools/command.h"
#include "tools/generation.h"
#include "tools/interrupt.h"
#include "tools/model.h"
#include "tools/output.h"
#include "tools/run_options.h"
#include "tools/sampling_options.h"
#include "tools/units.h"

namespace tvl {
namespace {

struct Options {
  RunOptions run;
  std::string system;
  std::string chat_template;
  uint64_t max_tokens = 0;
  SamplingOptions sampling;
  bool stats = false;
};

constexpr char kHelp[] =
    "  /reset         forget the conversation, but not the system prompt\n"
    "  /system TEXT   tell the model what it is to be; without TEXT, no longer\n"
    "  /save FILE     write the conversation to a file; it replaces only files that this chat has "
    "saved or loaded;\n"
    "                 /save --force FILE replaces any\n"
    "  /load FILE     go on with the conversation in a file\n"
    "  /stats         what the last answer took, and how full the context is\n"
    "  /quit          leave, as Ctrl-D does\n"
    "A line that ends in a backslash goes on in the next one; \"\"\" begins and ends a message of "
    "several lines;\n"
    "what is pasted is one message. A space in front makes a message of what begins with /.\n"
    "Ctrl-C stops an answer, or clears the line. Ctrl with an arrow moves by words.\n";

void Note(const std::string& sentence) { PrintNote(absl::StrCat("tvl: ", sentence, "\n")); }

std::string Count(size_t count, const char* what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// As shells read it: ~/ is the user's own folder.
std::string WithHome(const std::string& path) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || !absl::StartsWith(path, "~/")) return path;
  return absl::StrCat(home, path.substr(1));
}

std::string Describe(const ChatTurn& turn, const ChatAnswer& answer) {
  const GenerationStats& stats = answer.stats;
  std::string text = absl::StrCat("prompt ", FormatTokens(stats.prompt_tokens), ", ", turn.kept,
                                  " kept, ", FormatSeconds(stats.prefill_seconds), "; answer ",
                                  FormatTokens(stats.new_tokens));
  if (const double rate = stats.decode_rate(); rate > 0)
    absl::StrAppendFormat(&text, ", %.1f tokens/s", rate);
  return text;
}

class Chat {
 public:
  Chat(const Options& options, const TvlReader& reader, ChatSession* session)
      : options_(options), reader_(reader), session_(*session) {}

  // Until the input ends. Where nobody sits at a terminal an error is the end; to people it is
  // told, unless it is one after which nothing works.
  absl::Status Run() {
    const bool terminal = isatty(STDIN_FILENO) != 0;
    editor_ = LineEditor::Create();
    const LineSource source = [&](const std::string& prompt, std::string* line) {
      return ReadLine(prompt, line);
    };
    if (terminal) Greet();
    const auto read = [&]() -> absl::StatusOr<Message> {
      if (terminal) return ReadMessage(source);
      Message message;  // files and other programs give no commands
      const absl::StatusOr<LineEvent> event = input_.Read(&message.text);
      if (!event.ok()) return event.status();
      message.event = *event;
      return message;
    };
    std::optional<InterruptGuard> guard;
    // Ctrl-C is for the answer, or the line.
    if (editor_ != nullptr) guard.emplace(InterruptGuard::CtrlC::kNeverEnds);
    for (bool interrupted = false;;) {
      absl::StatusOr<Message> message = read();
      if (!message.ok()) return message.status();
      if (message->event == LineEvent::kEnd) {
        if (!message->unfinished || InterruptGuard::interrupted()) return InterruptGuard::status();
        Note("the message was not finished and is dropped; Ctrl-D again leaves");
        continue;
      }
      if (message->event == LineEvent::kInterrupted) {
        if (interrupted) return absl::OkStatus();
        interrupted = true;
        PrintNote("(Ctrl-C again, or Ctrl-D, leaves)\n");
        continue;
      }
      interrupted = false;
      if (absl::StripAsciiWhitespace(message->text).empty()) continue;
      absl::Status status =
          message->is_command ? Command(message->text) : Say(std::move(message->text));
      if (leaving_) return absl::OkStatus();
      if (status.ok()) continue;
      if (!terminal || absl::IsCancelled(status) || no_use_) return status;
      Note(std::string(status.message()));
    }
  }

 private:
  void Greet() {
    const bool plain = session_.family() == ChatTemplate::kPlain;
    PrintNote(absl::StrCat(plain ? "The model goes on with the text that you begin (template "
                                 : "Write to the model (template ",
                           std::string(ChatTemplateName(session_.family())),
                           "). /help lists the commands, Ctrl-D leaves.\n"));
  }

  absl::StatusOr<LineEvent> ReadLine(const std::string& prompt, std::string* line) {
    if (editor_ != nullptr) return editor_->Read(prompt, line);
    PrintNote(prompt);
    return input_.Read(line);
  }

  absl::Status Say(std::string text) {
    absl::StatusOr<ChatTurn> turn = session_.Begin(std::move(text));
    if (!turn.ok()) return turn.status();
    if (turn->dropped > 0) {
      Note(absl::StrCat("the context is full: the oldest ", Count(turn->dropped, "exchange"),
                        turn->dropped == 1 ? " is" : " are", " left out from here on"));
    }
    std::optional<InterruptGuard> guard;
    if (editor_ == nullptr) guard.emplace();
    bool within_line = false;
    bool written = false;
    const auto emit = [&](std::string_view text) {
      if (absl::Status s = shown_text_.Push(text, Print); !s.ok()) {
        no_use_ = true;
        return s;
      }
      if (!text.empty()) within_line = text.back() != '\n';
      written = written || !text.empty();
      return InterruptGuard::status();
    };
    const absl::StatusOr<ChatAnswer> answer = session_.Answer(*turn, emit);
    if (absl::IsDataLoss(answer.status())) {
      no_use_ = true;
      if (within_line) Print("\n").IgnoreError();
      return WithCause(answer.status(), reader_);
    }
    if (!answer.ok()) return answer.status();
    // In a pipe each answer ends in a newline, also one that is empty.
    if (within_line || (!shown_ && !written)) {
      if (absl::Status s = Print("\n"); !s.ok()) return s;
    }
    last_ = Describe(*turn, *answer);
    if (options_.stats) Note(last_);
    if (!answer->stop) return Interrupted(answer->stats.new_tokens > 0);
    if (*answer->stop == StopReason::kContextEnd)
      Note(absl::StrCat("the answer stopped at the end of the context (",
                        Count(session_.session().context(), "position"), ")"));
    return absl::OkStatus();
  }

  // Ctrl-C ends the answer where somebody can go on, and the program elsewhere.
  absl::Status Interrupted(bool answered) {
    if (editor_ == nullptr || !InterruptGuard::ForgetCtrlC())
      return absl::CancelledError("interrupted");
    if (!answered) Note("stopped before the answer began; the message is taken back");
    return absl::OkStatus();
  }

  absl::Status Command(const std::string& line) {
    const size_t space = line.find_first_of(" \t");
    const std::string typed = line.substr(0, space);
    const std::string name = absl::AsciiStrToLower(typed);
    const std::string argument(absl::StripAsciiWhitespace(
        space == line.npos ? absl::string_view() : absl::string_view(line).substr(space)));
    if (name == "/help") {
      PrintNote(kHelp);
      return absl::OkStatus();
    }
    if (name == "/reset" || name == "/clear") return Reset();
    if (name == "/system") return SetSystem(argument);
    if (name == "/save") return Save(argument);
    if (name == "/load") return Load(WithHome(argument));
    if (name == "/stats") return PrintStats();
    if (name == "/quit" || name == "/exit" || name == "/bye") {
      leaving_ = true;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("there is no command ", Quoted(typed),
                     "; /help lists them (a space in front makes it a message)"));
  }

  absl::Status Reset() {
    session_.SetConversation({.system = session_.conversation().system});
    last_.clear();
    Note("the conversation begins anew");
    return absl::OkStatus();
  }

  absl::Status SetSystem(const std::string& text) {
    session_.SetSystem(text);
    Note(text.empty() ? "there is no system prompt" : "the system prompt is set");
    return absl::OkStatus();
  }

  // "--force FILE" or "FILE".
  absl::Status Save(std::string argument) {
    constexpr absl::string_view kForce = "--force";
    absl::string_view rest = argument;
    const bool force =
        absl::ConsumePrefix(&rest, kForce) && (rest.empty() || absl::ascii_isspace(rest[0]));
    if (force) argument = std::string(absl::StripLeadingAsciiWhitespace(rest));
    const std::string path = WithHome(argument);
    if (path.empty() || path == "-")
      return absl::InvalidArgumentError("/save: expected the name of a file");
    if (!options_.run.model.empty() && SameFile(path, options_.run.model)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the conversation would replace the model"));
    }
    if (session_.conversation().exchanges.empty())
      return absl::FailedPreconditionError("/save: nothing has been said yet");
    if (absl::Status s = force ? absl::OkStatus() : files_.MayReplace(path); !s.ok()) return s;
    if (absl::Status s =
            SaveConversation(path, session_.conversation(), session_.family(), reader_.identity());
        !s.ok()) {
      return s;
    }
    files_.Remember(path);
    Note(absl::StrCat("saved ", Count(session_.conversation().exchanges.size(), "exchange"), " to ",
                      path));
    return absl::OkStatus();
  }

  absl::Status Load(const std::string& path) {
    if (path.empty() || path == "-")
      return absl::InvalidArgumentError("/load: expected the name of a file");
    absl::StatusOr<SavedConversation> saved = LoadConversation(path);
    if (!saved.ok()) return saved.status();
    std::string note =
        absl::StrCat("loaded ", Count(saved->conversation.exchanges.size(), "exchange"), " from ",
                     path, Differences(*saved));
    session_.SetConversation(std::move(saved->conversation));
    files_.Remember(path);
    last_.clear();
    Note(note);
    return absl::OkStatus();
  }

  // Between what was saved and this chat.
  std::string Differences(const SavedConversation& saved) const {
    std::string text;
    if (!saved.model) {
      text += "; the file does not say with which model they were had";
    } else if (*saved.model != reader_.identity()) {
      text += "; they were had with another model";
    }
    if (saved.chat_template && *saved.chat_template != session_.family()) {
      absl::StrAppend(&text, "; they were had with template ",
                      std::string(ChatTemplateName(*saved.chat_template)));
    }
    const std::string& before = session_.conversation().system;
    const std::string& system = saved.conversation.system;
    if (system.empty() && !before.empty()) {
      text += "; there is no system prompt any more";
    } else if (system != before) {
      text += "; the system prompt is theirs";
    }
    return text;
  }

  absl::Status PrintStats() {
    const Conversation& conversation = session_.conversation();
    if (!last_.empty()) Note(last_);
    Note(absl::StrCat(Count(conversation.exchanges.size(), "exchange"),
                      conversation.unread > 0
                          ? absl::StrCat(", of which the oldest ", conversation.unread, " left out")
                          : "",
                      "; ", session_.taken(), " of ",
                      Count(session_.session().context(), "position"), " of the context taken"));
    return absl::OkStatus();
  }

  const Options& options_;
  const TvlReader& reader_;
  ChatSession& session_;
  std::unique_ptr<LineEditor> editor_;  // null: input_ is read
  StandardInputLines input_;
  std::string last_;                               // what the last answer took
  const bool shown_ = isatty(STDOUT_FILENO) != 0;  // answers, by a terminal
  ShownText shown_text_{shown_};
  SavedFiles files_;
  bool no_use_ = false;  // of going on: nobody reads, or the model gives no numbers
  bool leaving_ = false;
};

// Says once what the model's own template would write besides.
absl::StatusOr<ChatLayout> ChooseLayout(const Options& options, const TvlReader& reader,
                                        const Tokenizer& tokenizer) {
  if (!options.chat_template.empty()) return ChatLayout(*FindChatTemplate(options.chat_template));
  absl::StatusOr<RecognisedTemplate> found =
      RecogniseChatTemplate(tokenizer.view().chat_template());
  if (!found.ok()) return InFile(reader.name(), found.status());
  std::vector<std::string> left_out = found->left_out;
  if (found->has_system_prompt && options.system.empty())
    left_out.insert(left_out.begin(), "a system prompt of its own (--system gives one)");
  if (!left_out.empty()) {
    Note(absl::StrCat("the model's chat template also does what tvl leaves out: ",
                      absl::StrJoin(left_out, ", ")));
  }
  if (found->refuses_system && !options.system.empty()) {
    Note(
        "the model's chat template takes no system prompt; the one given begins the first message");
  }
  return found->layout;
}

absl::Status Run(const Options& options) {
  std::string why;
  auto engine = OpenTunedModel(options.run, /*trace_events=*/0, &why);
  if (!engine.ok()) return engine.status();
  const TvlReader& reader = (*engine)->reader();
  const absl::StatusOr<Tokenizer> tokenizer = OpenTokenizer(reader);
  if (!tokenizer.ok()) return tokenizer.status();
  const absl::StatusOr<ChatLayout> layout = ChooseLayout(options, reader, *tokenizer);
  if (!layout.ok()) return layout.status();
  const ChatTemplate family = layout->family;
  const ChatVocabulary vocabulary(*tokenizer, family);
  if (!options.chat_template.empty() && vocabulary.lacks_end_marker()) {
    Note(absl::StrCat("--template ", options.chat_template,
                      ": the model's vocabulary has no token ", std::string(ChatEndMarker(family)),
                      ", with which an answer ends; it may not know this template"));
  }
  if (absl::Status s = CheckContext(options.run.context, reader); !s.ok()) return s;
  auto session = (*engine)->NewSession(options.run.session());
  if (!session.ok()) return session.status();
  ChatOptions chat_options = {.layout = *layout, .sampling = options.sampling};
  if (options.max_tokens > 0) chat_options.max_tokens = options.max_tokens;
  ChatSession chat_session(*tokenizer, *std::move(session), chat_options);
  chat_session.SetSystem(options.system);
  return Chat(options, reader, &chat_session).Run();
}

}  // namespace

void AddChat(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("chat", "Talk with a model");
  sub->footer(
      "At a terminal it asks for messages; /help there says what else can be typed. Elsewhere each "
      "line of standard\n"
      "input is a message and nothing else, whatever it begins or ends with; empty lines are left "
      "out, and the first\n"
      "error ends the run. Answers go to standard output as they come, everything else to standard "
      "error.\n"
      "\n"
      "Messages are written as the model was trained to read them, by the layout that the chat "
      "template in its file\n"
      "has. A model without one goes on with the text (plain). Only what is new since the last "
      "answer is read. When\n"
      "the context is full, the oldest exchanges are left out.\n"
      "\n"
      "Examples:\n"
      "  tvl chat -m tinyllama-1.1b-chat.Q4_0.gguf --temperature 0.7 --top-p 0.9\n"
      "  tvl chat -m tinyllama-1.1b-chat.Q4_0.gguf --system \"Answer in one sentence.\" --stats\n"
      "  echo \"What is a cache line?\" | tvl chat -m tinyllama-1.1b-chat.Q4_0.gguf\n"
      "  tvl chat        the model inside this program goes on with your stories");
  AddModel(*sub, &options->run.model);
  sub->add_option("--system", options->system, "What the model is to be told first")
      ->type_name("TEXT");
  sub->add_option_function<std::string>(
         "--template",
         [options](const std::string& name) {
           if (!FindChatTemplate(name)) {
             throw CLI::ValidationError(
                 "--template",
                 absl::StrCat("expected one of ", ChatTemplateNames(), "; found '", name, "'"));
           }
           options->chat_template = name;
         },
         absl::StrCat("The layout of messages (default: by the model's file): ",
                      ChatTemplateNames()))
      ->type_name("NAME");
  AddCount(*sub, kMaxTokensNames, 1, kMaxPositions, &options->max_tokens,
           "Tokens of an answer at most (default: until the model ends it)");
  AddEngineOptions(*sub, &options->run);
  AddSampling(*sub, &options->sampling);
  AddSessionOptions(*sub, &options->run);
  sub->add_flag("--stats", options->stats, "After each answer, say on standard error what it took");
  sub->callback([options, action] { *action = [options] { return Run(*options); }; });
}

}  // namespace tvl
