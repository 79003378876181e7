// Lines that are typed at a terminal, with editing and history.
#ifndef TVL_TOOLS_CHAT_LINE_EDITOR_H_
#define TVL_TOOLS_CHAT_LINE_EDITOR_H_

#include <memory>
#include <string>

#include "tools/chat/line_source.h"

namespace tvl {

// Emacs keys, arrows, by words with Ctrl, history in memory; keys that mean nothing do nothing
// (tools/chat/key_decoder.h). Ctrl-C clears the line, and at an empty one is
// LineEvent::kInterrupted. One at a time. Between calls of Read the terminal is as it was before.
class LineEditor {
 public:
  // Null if standard input and output are not both terminals.
  static std::unique_ptr<LineEditor> Create();
  ~LineEditor();

  // Shows `prompt`; `line` gets no newline but those that were pasted. SIGINT from outside counts
  // as Ctrl-C at an empty line; any other interrupt ends the input. REQUIRES: an InterruptGuard,
  // else interrupts end the program.
  LineEvent Read(const std::string& prompt, std::string* line);

 private:
  struct State;

  explicit LineEditor(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_LINE_EDITOR_H_
