#define PCRE2_CODE_UNIT_WIDTH 8
#include "models/tokenizer/pre_tokenizer.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/tokenizer/pre_tokenizer_patterns.h"
#include "models/tokenizer/utf8.h"

namespace tvl {
namespace {

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

// A pre-tokenizer's expressions, compiled.
struct Compiled {
  std::once_flag once;
  absl::Status status;
  std::vector<Code> codes;
};

absl::Status Compile(uint32_t number, std::vector<Code>* codes) {
  for (const std::string& pattern : PreTokenizerPatterns(static_cast<PreTokenizer>(number))) {
    int error = 0;
    PCRE2_SIZE at = 0;
    Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                            PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    if (code == nullptr) {
      std::array<PCRE2_UCHAR, 256> message = {};
      pcre2_get_error_message(error, message.data(), message.size());
      return absl::InternalError(absl::StrCat("pre-tokenizer ", number, ": PCRE2 refuses ", pattern,
                                              " at byte ", at, ": ",
                                              reinterpret_cast<const char*>(message.data())));
    }
    // Where machine code cannot be made it is interpreted, with the same result.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    codes->push_back(std::move(code));
  }
  return absl::OkStatus();
}

// REQUIRES: number < kPreTokenizerCount
const Compiled& CompiledOf(uint32_t number) {
  static auto* const all = new std::array<Compiled, kPreTokenizerCount>;
  Compiled& compiled = (*all)[number];
  std::call_once(compiled.once, [&] { compiled.status = Compile(number, &compiled.codes); });
  return compiled;
}

class Splitter {
 public:
  // `longest`: bytes of the longest text to be split.
  Splitter(size_t longest, std::vector<std::string_view>* words)
      : data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        words_(*words) {
    // The expressions take a few steps per byte; the default limit counts steps whatever the text.
    const size_t steps = 1'000'000 + 16 * std::min<size_t>(longest, UINT32_MAX / 32);
    if (context_ != nullptr) pcre2_set_match_limit(context_.get(), static_cast<uint32_t>(steps));
  }

  // Each expression in turn cuts what those before have left, matches and what is between alike.
  // REQUIRES: well-formed UTF-8
  void Split(std::span<const Code> codes, std::string_view text) {
    if (text.empty()) return;
    if (codes.empty()) {
      words_.push_back(text);
      return;
    }
    size_t at = 0;
    while (const auto match = Match(codes.front().get(), text, at)) {
      Split(codes.subspan(1), text.substr(at, match->first - at));
      Split(codes.subspan(1), text.substr(match->first, match->second - match->first));
      at = match->second;
    }
    Split(codes.subspan(1), text.substr(at));
  }

 private:
  // Begin and end of the first match at or after `from`.
  std::optional<std::pair<size_t, size_t>> Match(const pcre2_code* code, std::string_view text,
                                                 size_t from) const {
    if (data_ == nullptr || from == text.size()) return std::nullopt;
    const int result =
        pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                    PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
    // PCRE2_ERROR_NOMATCH; or no memory, or a limit that no text should reach: the rest is then one
    // word, which loses nothing.
    if (result < 0) return std::nullopt;
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_.get());
    return std::pair<size_t, size_t>(ends[0], ends[1]);
  }

  std::unique_ptr<pcre2_match_data, FreeMatchData> data_;
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context_;
  std::vector<std::string_view>& words_;
};

// Why not PCRE2_MATCH_INVALID_UTF: where patterns are interpreted, each match then begins with a
// look at all that is left, which makes long texts quadratic.
//
// Bytes of the longest prefix that is well-formed UTF-8 or, without one, that holds no well-formed
// character.
size_t StretchBytes(std::string_view text) {
  const bool well_formed = Utf8CharacterBytes(text) > 0;
  size_t end = 0;
  while (end < text.size()) {
    const size_t bytes = Utf8CharacterBytes(text.substr(end));
    if ((bytes > 0) != well_formed) break;
    end += std::max<size_t>(bytes, 1);
  }
  return end;
}

}  // namespace

absl::Status CheckPreTokenizer(uint32_t number) {
  if (number < kPreTokenizerCount) return CompiledOf(number).status;
  return absl::UnimplementedError(
      absl::StrCat("pre_tokenizer: expected a number from 0 to ", kPreTokenizerCount - 1,
                   ", which are all that this version knows, found ", number));
}

void SplitWords(uint32_t number, std::string_view text, std::vector<std::string_view>* words) {
  const std::span<const Code> codes = CompiledOf(number).codes;
  Splitter splitter(text.size(), words);
  while (!text.empty()) {
    const size_t bytes = StretchBytes(text);
    const bool well_formed = Utf8CharacterBytes(text) > 0;
    splitter.Split(well_formed ? codes : std::span<const Code>(), text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
}

}  // namespace tvl
