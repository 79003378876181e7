#include "tools/chat/key_decoder.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "models/tokenizer/utf8.h"

namespace tvl {
namespace {

constexpr char kEscape = '\x1b';
constexpr char kBell = '\x07';
constexpr size_t kMaxParameters = 32;

bool IsControl(char byte) { return static_cast<uint8_t>(byte) < 0x20 || byte == 0x7F; }

// Those that would be taken for the key codes that no key gives, or that begin something in an
// editor that nobody expects here: a mark, a quoted control character.
bool HasNoUse(char byte) {
  constexpr std::string_view kUseless("\0\x0f\x11\x13\x16\x18\x1c\x1d\x1e\x1f", 10);
  return kUseless.find(byte) != kUseless.npos;
}

// With no other key held: "", "1"; with Ctrl alone: "1;5", also where the key has a number.
bool IsPlain(std::string_view parameters) {
  return parameters.empty() || parameters == "1" || parameters == "1;1";
}
bool IsCtrl(std::string_view parameters) { return parameters == "1;5" || parameters == "5"; }

std::optional<KeyCode> PlainArrow(char final_byte) {
  switch (final_byte) {
    case 'A':
      return KeyCode::kUp;
    case 'B':
      return KeyCode::kDown;
    case 'C':
      return KeyCode::kRight;
    case 'D':
      return KeyCode::kLeft;
    case 'F':
      return KeyCode::kEnd;
    case 'H':
      return KeyCode::kHome;
    default:
      return std::nullopt;
  }
}

std::optional<KeyCode> CtrlArrow(char final_byte) {
  if (final_byte == 'C') return KeyCode::kNextWord;
  if (final_byte == 'D') return KeyCode::kPrevWord;
  return std::nullopt;
}

// Of "\e[3~" and the like: DEC's numbers of the keys beside the arrows.
std::optional<KeyCode> NumberedKey(std::string_view parameters) {
  if (parameters == "1" || parameters == "7") return KeyCode::kHome;
  if (parameters == "4" || parameters == "8") return KeyCode::kEnd;
  if (parameters == "3") return KeyCode::kDelete;
  if (parameters == "3;5") return KeyCode::kDeleteNextWord;
  if (parameters == "200") return KeyCode::kPaste;
  return std::nullopt;
}

// Of Alt and a letter, as emacs has them.
std::optional<KeyCode> AltKey(char byte) {
  switch (byte) {
    case 'b':
    case 'B':
      return KeyCode::kPrevWord;
    case 'f':
    case 'F':
      return KeyCode::kNextWord;
    case 'd':
    case 'D':
      return KeyCode::kDeleteNextWord;
    case 'u':
    case 'U':
      return KeyCode::kUpperCase;
    case 'l':
    case 'L':
      return KeyCode::kLowerCase;
    case 'c':
    case 'C':
      return KeyCode::kCapitalize;
    default:
      return std::nullopt;
  }
}

}  // namespace

void KeyDecoder::GiveUp() {
  state_ = State::kText;
  parameters_.clear();
  skip_ = 0;
  alt_ = false;
}

std::optional<char> KeyDecoder::EndSequence() {
  GiveUp();
  return std::nullopt;
}

std::optional<char> KeyDecoder::EndSequence(KeyCode code) {
  const bool alt = alt_;
  GiveUp();
  if (alt && code != KeyCode::kPaste) return std::nullopt;
  return static_cast<char>(code);
}

std::optional<char> KeyDecoder::Push(char byte) {
  switch (state_) {
    case State::kText:
      return PushText(byte);
    case State::kEscape:
      return PushEscape(byte);
    case State::kCsi:
      return PushCsi(byte);
    case State::kSs3:
      return PushSs3(byte);
    case State::kString:  // ends with a bell or with "\e\\"
      if (byte == kBell) return EndSequence();
      if (byte == kEscape) state_ = State::kStringEscape;
      return std::nullopt;
    case State::kStringEscape:
      return EndSequence();
    case State::kSkip:
      if (--skip_ == 0) return EndSequence();
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<char> KeyDecoder::PushText(char byte) {
  if (byte == kEscape) {
    state_ = State::kEscape;
    return std::nullopt;
  }
  if (HasNoUse(byte)) return std::nullopt;
  return byte;
}

std::optional<char> KeyDecoder::PushEscape(char byte) {
  if (byte == '[') {
    state_ = State::kCsi;
  } else if (byte == 'O') {
    state_ = State::kSs3;
  } else if (byte == ']' || byte == 'P' || byte == '_' || byte == '^' || byte == 'X') {
    state_ = State::kString;
  } else if (byte == kEscape) {
    alt_ = true;
  } else if (byte == 0x7F || byte == '\b') {
    return EndSequence(KeyCode::kDeletePrevWord);
  } else if (IsControl(byte)) {  // a key of its own: Enter, Ctrl-C
    GiveUp();
    return PushText(byte);
  } else if (const std::optional<KeyCode> code = AltKey(byte)) {
    return EndSequence(*code);
  } else if (const size_t bytes = Utf8BytesFrom(static_cast<uint8_t>(byte)); bytes > 1) {
    skip_ = bytes - 1;
    state_ = State::kSkip;
  } else {
    return EndSequence();
  }
  return std::nullopt;
}

std::optional<char> KeyDecoder::PushCsi(char byte) {
  if (IsControl(byte)) {  // no sequence has one: this one was not finished
    GiveUp();
    return PushText(byte);
  }
  const bool ended_by_rxvt = byte == '$' && !parameters_.starts_with('?');  // Shift
  const bool goes_on = (byte >= 0x20 && byte < 0x40 && !ended_by_rxvt) ||
                       (byte == '[' && parameters_.empty());  // Linux's F1 to F5: "\e[[A"
  if (goes_on) {
    if (parameters_.size() < kMaxParameters) parameters_ += byte;
    return std::nullopt;
  }
  if (byte == 'M' && parameters_.empty()) {  // a mouse of old: button, column, row
    state_ = State::kSkip;
    skip_ = 3;
    return std::nullopt;
  }
  std::optional<KeyCode> code;
  if (byte == '~') {
    code = NumberedKey(parameters_);
  } else if (byte == '^' && parameters_ == "3") {  // rxvt's Ctrl
    code = KeyCode::kDeleteNextWord;
  } else if (IsPlain(parameters_)) {
    code = PlainArrow(byte);
  } else if (IsCtrl(parameters_)) {
    code = CtrlArrow(byte);
  }
  return code ? EndSequence(*code) : EndSequence();
}

std::optional<char> KeyDecoder::PushSs3(char byte) {
  if (IsControl(byte)) {
    GiveUp();
    return PushText(byte);
  }
  if (byte >= 0x20 && byte < 0x40) {
    if (parameters_.size() < kMaxParameters) parameters_ += byte;
    return std::nullopt;
  }
  std::optional<KeyCode> code;
  if (byte == 'c') {  // rxvt's Ctrl and arrows
    code = KeyCode::kNextWord;
  } else if (byte == 'd') {
    code = KeyCode::kPrevWord;
  } else if (IsPlain(parameters_)) {
    code = PlainArrow(byte);
  } else if (IsCtrl(parameters_)) {
    code = CtrlArrow(byte);
  }
  return code ? EndSequence(*code) : EndSequence();
}

}  // namespace tvl
