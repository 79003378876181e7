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

// Of the tokenizers after DeepSeek 3's: words with an ASCII mark in front or not, marks, and then
// the rest.
std::string MarkedWords(const std::string& rest) {
  return absl::StrCat(R"([!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)",
                      R"( ?[\p{P}\p{S}]+)", rest);
}
constexpr char kKanaAndIdeographs[] = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";

// A run of digits in threes from its end, what is left over first. Only at its beginning is the
// whole run looked at, so that the time stays linear.
std::string Thousands(const std::string& digit) {
  return absl::StrCat("(?<!", digit, ")", digit, "{1,3}?(?=(?:", digit, "{3})*+(?!", digit,
                      "))|(?<=", digit, ")", digit, "{3}");
}

// Between punctuation of several scripts, as BLOOM's.
std::string BetweenMarks() {
  return absl::StrCat(" ?[^(", kSpace,
                      R"(|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)");
}

// What llama.cpp counts as Han (src/unicode.cpp), within brackets.
constexpr char kHan[] =
    R"(\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF})"
    R"(\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F})";
std::string KimiK2() {
  return absl::StrCat("[", kHan, R"(]+|[^\r\n\p{L}\p{N}]?(?:(?![)", kHan, R"(])\p{L})+(?:)",
                      kAnyCaseContraction, R"()?|\p{N}{1,3}| ?[^)", kSpace,
                      R"(\p{L}\p{N}]+[\r\n]*|)", LinesAndSpaces());
}

std::string ExaoneMoe() {
  return absl::StrCat(kAnyCaseContraction,
                      R"(|[^\r\n\p{L}\p{N}]?\p{L}\p{M}*+(?: ?\p{L}\p{M}*+)*+|\p{N}| ?[^)", kSpace,
                      R"(\p{L}\p{N}]+[\r\n/]?|[)", kSpace, R"(]*[\r\n]|)", Spaces());
}

// Scripts of East Asia by themselves, before all else.
constexpr char kYoutuScripts[] =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|)"
    R"([\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
    R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|)"
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";
constexpr char kAfmoeScripts[] =
    R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{309F})"
    R"(\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF}\x{E40}-\x{E7F}\x{E80}-\x{EFF})"
    R"(\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF})"
    R"(\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)";

std::string CasedWordsWithContractions() {
  return CasedWords(absl::StrCat("(?:", kAnyCaseContraction, ")?"));
}

// The others' of PreTokenizerPatterns.
std::vector<std::string> LaterPatterns(PreTokenizer pre_tokenizer) {
  switch (pre_tokenizer) {
    case PreTokenizer::kSeedCoder:
      return {absl::StrCat(PlainWords(), R"(|\p{N}| ?[^)", kSpace, R"(\p{L}\p{N}\r\n]+|)",
                           LinesAndSpaces())};
    case PreTokenizer::kBailing:
      return {absl::StrCat(PlainWords(), R"(|\p{N}| ?[^)", kSpace, R"(\p{L}\p{N}]+[\r\n]*|[)",
                           kSpace, R"(]*[\r\n]|)", Spaces())};
    case PreTokenizer::kBloom:
      return {BetweenMarks()};
    case PreTokenizer::kViking:
      return {BetweenMarks(), R"(\p{N})"};
    case PreTokenizer::kSuperBpe:
      return {R"(\p{N}+)", Thousands("[0-9]")};
    case PreTokenizer::kQwen35:
      return {absl::StrCat(kAnyCaseContraction, R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^)",
                           kSpace, R"(\p{L}\p{M}\p{N}]+[\r\n]*|)", LinesAndSpaces())};
    case PreTokenizer::kTinyAya:
      return {Thousands(R"(\p{N})"),
              Cl100k(CasedWordsWithContractions(), R"(\p{N}{1,3})", R"(\r\n/)")};
    case PreTokenizer::kAfmoe:
      return {Thousands(R"(\p{N})"), kAfmoeScripts,
              MarkedWords(absl::StrCat(R"([\r\n]*|)", LinesAndSpaces()))};
    case PreTokenizer::kExaoneMoe:
      return {ExaoneMoe()};
    case PreTokenizer::kYoutu:
      return {kYoutuScripts, Cl100k(CasedWordsWithContractions(), R"(\p{N})", R"(\r\n/)")};
    case PreTokenizer::kMiniCpm5:
      return {R"(\p{N}{1,3})", Cl100k(PlainWords(), R"(\p{N}+)", R"(\r\n)")};
    case PreTokenizer::kUfakzeka:
      return {Cl100k(R"([^\r\n\p{L}\p{N}]?\p{L}+)", R"(\p{N})", R"(\r\n)")};
    case PreTokenizer::kLaguna:
      return {R"([^\n]+|\n+)", Cl100k(PlainWords(), R"(\p{N})", R"(\r\n)")};
    case PreTokenizer::kSpark:
      return {R"(\p{N}{1,3})", kKanaAndIdeographs,
              MarkedWords(absl::StrCat(R"(|[\r\n]|)", Spaces())), R"(\p{N})"};
    case PreTokenizer::kKimiK2:
      return {KimiK2()};
    default:
      return {};
  }
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
      return {R"(\p{N}{1,3})", kKanaAndIdeographs,
              MarkedWords(absl::StrCat(R"([\r\n]*|)", LinesAndSpaces()))};
    case PreTokenizer::kTekken:
      return {Cl100k(CasedWords(""), R"(\p{N})", R"(\r\n/)")};
    case PreTokenizer::kGpt4o:
      return {Cl100k(CasedWordsWithContractions(), R"(\p{N}{1,3})", R"(\r\n/)")};
    default:
      return LaterPatterns(pre_tokenizer);
  }
}

}  // namespace tvl
