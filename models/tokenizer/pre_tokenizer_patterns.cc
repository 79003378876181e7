#include "models/tokenizer/pre_tokenizer_patterns.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tvl {
namespace {

// In what follows, within brackets: Unicode's White_Space. (PCRE2's \s has U+180E too.)
constexpr char kSpace[] =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// Letters with case as DeepSeek lists them.
constexpr char kDeepSeekLetters[] =
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943})";

// Within brackets.
constexpr char kDeepSeekMarks[] =
    R"(!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002})";
constexpr char kDeepSeekIdeographs[] = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";

// Within brackets: letters that a word begins with and goes on with where case divides words.
constexpr char kUpper[] = R"(\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M})";
constexpr char kLower[] = R"(\p{Ll}\p{Lm}\p{Lo}\p{M})";

constexpr char kAnyCaseContraction[] = "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])";
constexpr char kPunctuation[] = R"([\p{P}$+<=>^~|)";  // without its closing bracket

// What ends the expressions of most. White space before a word leaves its last character to it.
std::string Spaces() { return absl::StrCat("[", kSpace, "]+(?![^", kSpace, "])|[", kSpace, "]+"); }
// Lines that end, and the white space before.
std::string LinesAndSpaces() { return absl::StrCat("[", kSpace, R"(]*[\r\n]+|)", Spaces()); }

std::string Gpt2() {
  return absl::StrCat(R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^)", kSpace, R"(\p{L}\p{N}]+|)",
                      Spaces());
}

// Of the family of OpenAI's cl100k: words and digits by their own expressions, marks with what of
// `after_marks` follows them.
std::string Cl100k(const std::string& words, const char* digits, const char* after_marks) {
  return absl::StrCat(words, "|", digits, "| ?[^", kSpace, R"(\p{L}\p{N}]+[)", after_marks, "]*|",
                      LinesAndSpaces());
}
std::string PlainWords() {
  return absl::StrCat(kAnyCaseContraction, R"(|[^\r\n\p{L}\p{N}]?\p{L}+)");
}
std::string CasedWords(const std::string& after) {
  constexpr char kBefore[] = R"([^\r\n\p{L}\p{N}]?)";
  return absl::StrCat(kBefore, "[", kUpper, "]*[", kLower, "]+", after, "|", kBefore, "[", kUpper,
                      "]+[", kLower, "]*", after);
}

}  // namespace

std::vector<std::string> PreTokenizerPatterns(PreTokenizer pre_tokenizer) {
  switch (pre_tokenizer) {
    case PreTokenizer::kNone:
      return {};
    case PreTokenizer::kGpt2:
      return {Gpt2()};
    case PreTokenizer::kDefault:
      return {absl::StrCat(kPunctuation, "]+"), Gpt2(), R"(\p{N}+)", "[0-9][0-9][0-9]"};
    case PreTokenizer::kLlama3:
      return {Cl100k(PlainWords(), R"(\p{N}{1,3})", R"(\r\n)")};
    case PreTokenizer::kQwen2:
      return {Cl100k(PlainWords(), R"(\p{N})", R"(\r\n)")};
    case PreTokenizer::kStarCoder:
      return {R"(\p{N})", Gpt2()};
    case PreTokenizer::kDeepSeekLlm:
      return {R"([\r\n])", absl::StrCat("[", kSpace, "]?[", kDeepSeekLetters, "]+"),
              absl::StrCat("[", kSpace, "]?[", kDeepSeekMarks, "]+"),
              // White space up to the end: from its first, so that not every place is tried.
              absl::StrCat("(?<![", kSpace, "])[", kSpace, R"(]++\z)"), kDeepSeekIdeographs,
              R"(\p{N}+)"};
    case PreTokenizer::kDeepSeekCoder:
      return {R"([\r\n])", absl::StrCat("[", kSpace, R"(]?\p{L}+)"),
              absl::StrCat("[", kSpace, R"(]?\p{P}+)"), kDeepSeekIdeographs, R"(\p{N})"};
    case PreTokenizer::kFalcon:
      return {absl::StrCat(kPunctuation, "`]+"), Gpt2(), "[0-9][0-9][0-9]"};
    case PreTokenizer::kDeepSeek3:
      return {R"(\p{N}{1,3})", R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)",
              absl::StrCat(R"([!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)",
                           R"( ?[\p{P}\p{S}]+[\r\n]*|)", LinesAndSpaces())};
    case PreTokenizer::kTekken:
      return {Cl100k(CasedWords(""), R"(\p{N})", R"(\r\n/)")};
    case PreTokenizer::kGpt4o:
      return {Cl100k(CasedWords(absl::StrCat("(?:", kAnyCaseContraction, ")?")), R"(\p{N}{1,3})",
                     R"(\r\n/)")};
  }
  return {};
}

}  // namespace tvl
