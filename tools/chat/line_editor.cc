#include "tools/chat/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <signal.h>
#include <sys/select.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <cwchar>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/signals.h"
#include "tools/chat/key_decoder.h"
#include "tools/interrupt.h"
#include "tools/output.h"

namespace tvl {

struct LineEditor::State {
  EditLine* line = nullptr;
  History* history = nullptr;
  std::string prompt;
  KeyDecoder keys;
  std::mbstate_t bytes = {};  // of a character that has come in part
  bool interrupted = false;   // by the key

  ~State() {
    if (line != nullptr) el_end(line);
    if (history != nullptr) history_end(history);
  }
};

namespace {

constexpr int kHistoryLines = 1000;

template <typename State>
State* StateOf(EditLine* line) {
  void* data = nullptr;
  el_get(line, EL_CLIENTDATA, &data);
  return static_cast<State*>(data);
}

enum class Input { kThere, kInterrupted, kNone };

// Waits for input, if `limit` is not null as long as that. An interrupt comes first, also one that
// has come just before.
Input WaitForInput(const timespec* limit) {
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, nullptr, &before);
  const SignalsBlocked blocked(EndingSignals());
  while (!InterruptGuard::interrupted()) {
    fd_set inputs;
    FD_ZERO(&inputs);
    FD_SET(STDIN_FILENO, &inputs);
    const int count = pselect(STDIN_FILENO + 1, &inputs, nullptr, nullptr, limit, &before);
    if (count == 0) return Input::kNone;
    if (count > 0 || errno != EINTR) return Input::kThere;
  }
  return Input::kInterrupted;
}

// With it, until kLeavePastes, terminals put KeyCode::kPaste and kPasteEnd around what is pasted.
constexpr std::string_view kMarkPastes = "\x1b[?2004h";
constexpr std::string_view kPasteEnd = "\x1b[201~";

void TellTerminal(std::string_view sequence) {
  WriteAll(STDOUT_FILENO, sequence, "standard output").IgnoreError();
}

// The next byte: 1, or 0 at the end, or -1.
int ReadByte(char* byte) {
  for (;;) {
    if (WaitForInput(nullptr) == Input::kInterrupted) return 0;
    const ssize_t got = read(STDIN_FILENO, byte, 1);
    if (got >= 0 || (errno != EINTR && errno != EAGAIN)) return static_cast<int>(got);
  }
}

// What is pasted is text, also its newlines and what else would be keys.
unsigned char OnPaste(EditLine* line, int) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::string text;
  while (!text.ends_with(kPasteEnd)) {
    char byte = 0;
    if (ReadByte(&byte) <= 0) return CC_EOF;
    text += byte == '\r' ? '\n' : byte;
    if (text.size() > kMaxBytes) return CC_ERROR;
  }
  text.resize(text.size() - kPasteEnd.size());
  std::erase_if(text, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
  });
  if (el_insertstr(line, text.c_str()) != 0) return CC_ERROR;
  return CC_REFRESH;
}

// The next byte of text, or key code, with the same results.
int ReadKey(KeyDecoder* keys, char* key) {
  // Longer than between the bytes of one key over a slow line, shorter than between two keys.
  constexpr timespec kWithinKey = {.tv_sec = 0, .tv_nsec = 200'000'000};
  for (;;) {
    if (keys->within() && WaitForInput(&kWithinKey) == Input::kNone) keys->GiveUp();
    char byte = 0;
    if (const int got = ReadByte(&byte); got <= 0) return got;
    if (const std::optional<char> decoded = keys->Push(byte)) {
      *key = *decoded;
      return 1;
    }
  }
}

bool IsC1(wchar_t character) { return character >= 0x80 && character < 0xA0; }

// The next character, as libedit wants it: 1, or 0 at the end, or -1. Its own function would go on
// reading after an interrupt; and it inserts what it does not know of the sequences that keys send.
template <typename State>
int ReadCharacter(EditLine* line, wchar_t* character) {
  State* state = StateOf<State>(line);
  for (;;) {
    char byte = 0;
    if (const int got = ReadKey(&state->keys, &byte); got <= 0) return got;
    const bool within = std::mbsinit(&state->bytes) == 0;
    size_t bytes = std::mbrtowc(character, &byte, 1, &state->bytes);
    if (bytes == static_cast<size_t>(-1) && within) {  // it may begin another character
      state->bytes = {};
      bytes = std::mbrtowc(character, &byte, 1, &state->bytes);
    }
    switch (bytes) {
      case static_cast<size_t>(-1):  // no character of this locale
        state->bytes = {};
        break;
      case static_cast<size_t>(-2):  // not a whole one yet
        break;
      default:
        if (!IsC1(*character)) return 1;
    }
  }
}

template <typename State>
unsigned char OnInterruptKey(EditLine* line, int) {
  // In characters, as el_cursor and el_deletestr count; el_line counts bytes.
  const LineInfoW* info = el_wline(line);
  if (info->lastchar == info->buffer) {
    StateOf<State>(line)->interrupted = true;
    return CC_EOF;
  }
  el_cursor(line, static_cast<int>(info->lastchar - info->cursor));
  el_deletestr(line, static_cast<int>(info->lastchar - info->buffer));
  return CC_REFRESH;
}

unsigned char OnSuspendKey(EditLine* line, int) {
  el_set(line, EL_PREP_TERM, 0);
  TellTerminal(kLeavePastes);
  raise(SIGTSTP);
  TellTerminal(kMarkPastes);
  el_set(line, EL_PREP_TERM, 1);
  return CC_REDISPLAY;
}

template <typename State>
char* Prompt(EditLine* line) {
  return StateOf<State>(line)->prompt.data();
}

// The others are bound by libedit itself.
void BindKeyCodes(EditLine* line) {
  const auto bind = [line](KeyCode code, const char* command) {
    const char octal[] = {'\\', '0', static_cast<char>('0' + static_cast<int>(code) / 8),
                          static_cast<char>('0' + static_cast<int>(code) % 8), '\0'};
    el_set(line, EL_BIND, octal, command, nullptr);
  };
  bind(KeyCode::kDeletePrevWord, "ed-delete-prev-word");
  bind(KeyCode::kDeleteNextWord, "em-delete-next-word");
  bind(KeyCode::kUpperCase, "em-upper-case");
  bind(KeyCode::kLowerCase, "em-lower-case");
  bind(KeyCode::kCapitalize, "em-capitol-case");
  bind(KeyCode::kPrevWord, "ed-prev-word");
  bind(KeyCode::kNextWord, "em-next-word");
  bind(KeyCode::kDelete, "ed-delete-next-char");
  bind(KeyCode::kPaste, "tvl-paste");
}

// Where the user's locale has none, that of the C library: characters must be told apart.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  for (const char* locale : {"C.UTF-8", "UTF-8"}) {
    if (std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return;
    std::setlocale(LC_CTYPE, locale);
  }
}

}  // namespace

LineEditor::LineEditor(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineEditor::~LineEditor() = default;

std::unique_ptr<LineEditor> LineEditor::Create() {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) return nullptr;
  UseUtf8();
  KeepTerminal();
  auto state = std::make_unique<State>();
  state->line = el_init("tvl", stdin, stdout, stderr);
  state->history = history_init();
  if (state->line == nullptr || state->history == nullptr) return nullptr;
  HistEvent event;
  history(state->history, &event, H_SETSIZE, kHistoryLines);
  history(state->history, &event, H_SETUNIQUE, 1);
  EditLine* line = state->line;
  el_set(line, EL_CLIENTDATA, state.get());
  el_set(line, EL_GETCFN, ReadCharacter<State>);
  el_set(line, EL_PROMPT, Prompt<State>);
  el_set(line, EL_EDITOR, "emacs");
  el_set(line, EL_HIST, history, state->history);
  // These keys come as characters while a line is edited; libedit's own way with their signals
  // sends them to the whole process group.
  el_set(line, EL_SETTY, "-d", "-isig", nullptr);
  el_set(line, EL_ADDFN, "tvl-interrupt", "Clear the line, or leave", OnInterruptKey<State>);
  el_set(line, EL_ADDFN, "tvl-suspend", "Suspend the program", OnSuspendKey);
  el_set(line, EL_BIND, "^C", "tvl-interrupt", nullptr);
  el_set(line, EL_BIND, "^Z", "tvl-suspend", nullptr);
  el_set(line, EL_ADDFN, "tvl-paste", "Insert what is pasted", OnPaste);
  el_set(line, EL_BIND, "^I", "ed-insert", nullptr);
  el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  BindKeyCodes(line);
  return std::unique_ptr<LineEditor>(new LineEditor(std::move(state)));
}

LineEvent LineEditor::Read(const std::string& prompt, std::string* line) {
  state_->prompt = prompt;
  state_->interrupted = false;
  state_->bytes = {};
  state_->keys.GiveUp();
  el_resize(state_->line);
  // libedit does so only once the prompt is to be seen, and Ctrl-D typed just then would be lost.
  el_set(state_->line, EL_PREP_TERM, 1);
  int count = 0;
  TellTerminal(kMarkPastes);
  const char* text = el_gets(state_->line, &count);
  TellTerminal(kLeavePastes);
  if (text == nullptr || count <= 0) {
    Print("\n").IgnoreError();
    const bool interrupted = InterruptGuard::ForgetCtrlC() || state_->interrupted;
    return interrupted ? LineEvent::kInterrupted : LineEvent::kEnd;
  }
  *line = text;
  if (!line->empty() && line->back() == '\n') line->pop_back();
  HistEvent event;
  if (!line->empty()) history(state_->history, &event, H_ENTER, line->c_str());
  return LineEvent::kLine;
}

}  // namespace tvl
