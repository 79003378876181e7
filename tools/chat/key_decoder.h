// What terminals send for keys.
#ifndef TVL_TOOLS_CHAT_KEY_DECODER_H_
#define TVL_TOOLS_CHAT_KEY_DECODER_H_

#include <cstddef>
#include <optional>
#include <string>

namespace tvl {

// What a line editor does for a key that is no text: a control character, for which it is to be
// bound. Those of emacs where emacs has one, so that arrows mean the same in all modes of the
// editor; else some that no key gives.
enum class KeyCode : char {
  kHome = '\x01',            // Ctrl-A
  kLeft = '\x02',            // Ctrl-B
  kEnd = '\x05',             // Ctrl-E
  kRight = '\x06',           // Ctrl-F
  kDown = '\x0e',            // Ctrl-N
  kUp = '\x10',              // Ctrl-P
  kDeletePrevWord = '\x17',  // Ctrl-W
  kUpperCase = '\x0f',
  kLowerCase = '\x11',
  kCapitalize = '\x13',
  kDeleteNextWord = '\x18',
  kPrevWord = '\x1c',
  kNextWord = '\x1d',
  kDelete = '\x1e',
  kPaste = '\x1f',  // what is pasted follows, and then kPasteEnd
};

// Turns the bytes that a terminal sends into text and key codes. Escape sequences are taken whole,
// by their grammar, whether they mean something here or not: ECMA-48's, with what xterm, rxvt and
// Linux's console send besides (modifiers, "\e[[A", "\e[3$", "\eOd", "\e\e[D", reports of mice).
// What means nothing gives nothing, and so do control characters that no editor has a use for.
class KeyDecoder {
 public:
  // Takes the next byte. The byte or key code to hand on, or nothing (yet).
  std::optional<char> Push(char byte);
  // Whether a sequence has begun. The next byte of one comes at once or not at all: a key that
  // sends only the beginning was pressed, Escape most often.
  bool within() const { return state_ != State::kText; }
  // Forgets the sequence that has begun, since the rest of it has not come.
  void GiveUp();

 private:
  enum class State { kText, kEscape, kCsi, kSs3, kString, kStringEscape, kSkip };

  std::optional<char> PushText(char byte);
  std::optional<char> PushEscape(char byte);
  std::optional<char> PushCsi(char byte);
  std::optional<char> PushSs3(char byte);
  std::optional<char> EndSequence(KeyCode code);
  std::optional<char> EndSequence();

  State state_ = State::kText;
  std::string parameters_;  // of the sequence, those that were looked at
  size_t skip_ = 0;         // bytes that still belong to it
  bool alt_ = false;        // another Escape came before
};

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_KEY_DECODER_H_
