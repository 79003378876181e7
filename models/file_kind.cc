#include "models/file_kind.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/quoted.h"

namespace tvl {
namespace {

using enum FileKind;
using absl::string_view;

constexpr char kGetGguf[] =
    "tvl reads GGUF: look for a .gguf file of this model, or make one with convert_hf_to_gguf.py "
    "of llama.cpp";
constexpr char kUnpack[] = "unpack it and name the .gguf file that is in it";
constexpr char kDownloadAgain[] = "download the file again, to its end";
constexpr char kNameModel[] = "name the model's .gguf or .tvl file";
constexpr char kTokenizerInside[] =
    "a GGUF file has its tokenizer inside, and of a SentencePiece model llama2.c's tokenizer.py "
    "makes a tokenizer.bin for a checkpoint";

struct Magic {
  FileKind kind;
  size_t at;  // byte
  string_view bytes;
  const char* what;
  const char* advice;
};

// The numbers are those of the formats' own documents, or of file(1). The longer come before those
// that they begin with.
constexpr Magic kMagics[] = {
    {kTvl, 0, {"\x89TVL\r\n\x1a\n", 8}, "a .tvl file", "it needs no conversion"},
    {kSession,
     0,
     {"\x89TVS\r\n\x1a\n", 8},
     "a session",
     "'tvl generate -m MODEL --session FILE' goes on with it"},
    {kGguf, 0, "GGUF", "a GGUF file", "'tvl convert' makes a .tvl file of it"},
    {kLlama2cCheckpoint, 0, "24ka", "a checkpoint of llama2.c",
     "'tvl convert' makes a .tvl file of it"},
    // The magic numbers of llama.cpp before GGUF, as little-endian numbers.
    {kForeign, 0, "lmgg", "an old GGML file, from before August 2023", kGetGguf},
    {kForeign, 0, "fmgg", "an old GGML file (ggmf), from before August 2023", kGetGguf},
    {kForeign, 0, "tjgg", "an old GGML file (ggjt), from before August 2023", kGetGguf},
    {kForeign, 0, "algg", "an old GGML adapter (ggla)", kGetGguf},
    {kForeign, 0, "FUGG", "a GGUF file whose bytes are in another order", kGetGguf},
    {kForeign, 0, "version https://git-lfs.github.com/spec/",
     "a pointer of Git LFS, which stands for the file",
     "run 'git lfs pull' in its folder, or download the file itself"},
    {kForeign, 0, "/annex/objects/", "a pointer of git-annex, which stands for the file",
     "run 'git annex get' for it"},
    {kForeign,
     0,
     {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14},
     "a PyTorch file (from before version 1.6)",
     kGetGguf},
    {kForeign, 0, {"\x89HDF\r\n\x1a\n", 8}, "an HDF5 file, as Keras writes it", kGetGguf},
    {kForeign, 0, "\x93NUMPY", "a NumPy array", kGetGguf},
    {kForeign, 4, "TFL3", "a TensorFlow Lite model", kGetGguf},
    {kForeign, 0, "\x1f\x8b", "a gzip archive", kUnpack},
    {kForeign, 0, "\x28\xb5\x2f\xfd", "a zstd archive", kUnpack},
    {kForeign,
     0,
     {"\xfd"
      "7zXZ\0",
      6},
     "an xz archive",
     kUnpack},
    {kForeign, 0, "BZh", "a bzip2 archive", kUnpack},
    {kForeign, 0, "\x04\x22\x4d\x18", "an lz4 archive", kUnpack},
    {kForeign, 0, "7z\xbc\xaf\x27\x1c", "a 7z archive", kUnpack},
    {kForeign, 0, "Rar!\x1a\x07", "a rar archive", kUnpack},
    {kForeign, 257, "ustar", "a tar archive", kUnpack},
    {kForeign, 0, "MZqFpD", "a llamafile or another portable program",
     "unpack it as a zip archive and name the .gguf file that is in it"},
    {kForeign, 0,
     "\x7f"
     "ELF",
     "a program", kNameModel},
    {kForeign, 0, "MZ", "a program of Windows", kNameModel},
    {kForeign, 0, "\xcf\xfa\xed\xfe", "a program of macOS", kNameModel},
    {kForeign, 0, {"SQLite format 3\0", 16}, "an SQLite database", kNameModel},
    {kForeign, 0, "%PDF-", "a PDF document", kNameModel},
    {kForeign, 0, {"\x89PNG\r\n\x1a\n", 8}, "a picture", kNameModel},
    {kForeign, 0, "\xff\xd8\xff", "a picture", kNameModel},
};

template <typename T>
T Load(string_view file, size_t at) {
  T value = {};
  if (at <= file.size() && sizeof(T) <= file.size() - at)
    std::memcpy(&value, file.data() + at, sizeof(T));
  return value;
}

FileDescription Foreign(absl::string_view what, const char* advice) {
  return {kForeign, std::string(what), advice};
}

const Magic* FindMagic(string_view file) {
  const auto* found = std::ranges::find_if(kMagics, [&](const Magic& magic) {
    return file.size() >= magic.at && absl::StartsWith(file.substr(magic.at), magic.bytes);
  });
  return found == std::end(kMagics) ? nullptr : found;
}

// A header's length, then JSON.
bool IsSafetensors(string_view file) {
  constexpr uint64_t kLongestHeader = 100'000'000;  // the format's own limit
  const auto length = Load<uint64_t>(file, 0);
  return file.size() > 8 && file[8] == '{' && length >= 2 && length <= kLongestHeader;
}

// By the name of the first entry, which tells who wrote it.
FileDescription DescribeZip(string_view file) {
  const string_view name = file.substr(std::min<size_t>(file.size(), 30), Load<uint16_t>(file, 26));
  const string_view base = name.substr(name.rfind('/') == name.npos ? 0 : name.rfind('/') + 1);
  for (const string_view pytorch : {"data.pkl", "version", "byteorder", "constants.pkl"}) {
    if (name != base && base == pytorch) return Foreign("a PyTorch file", kGetGguf);
  }
  if (absl::EndsWith(base, ".npy")) return Foreign("arrays of NumPy or MLX (.npz)", kGetGguf);
  return Foreign("a zip archive", kUnpack);
}

// Protocol 2 to 5 of Python's pickle: its mark, then one of the opcodes that begin a value.
bool IsPickle(string_view file) {
  return file.size() > 2 && file[0] == '\x80' && file[1] >= 2 && file[1] <= 5 &&
         std::strchr("cX}]()\x8a\x8c\x95K", file[2]) != nullptr && file[2] != '\0';
}

// A protobuf: the version of the format, a small number, then the producer's name or the graph.
// No header of llama2.c begins so: its dim would be more than a million.
bool IsOnnx(string_view file) {
  return file.size() > 4 && file[0] == 0x08 && file[1] >= 1 && file[1] < 32 &&
         (file[2] == 0x12 || file[2] == 0x1a || file[2] == 0x22 || file[2] == 0x3a ||
          file[2] == 0x42);
}

// A protobuf of pieces: of the first the tag and the length, and the tag of its text, which a score
// and a type may follow.
bool IsSentencePiece(string_view file) {
  return file.size() > 4 && file[0] == '\n' && file[2] == '\n' && file[1] > file[3] + 1 &&
         file[1] <= file[3] + 9;
}

// A longest length, then of each token a score, a length and that many bytes.
bool IsLlama2cTokenizer(string_view file) {
  constexpr int kEnough = 16;
  const auto longest = Load<int32_t>(file, 0);
  if (longest < 1 || longest > 4096) return false;
  size_t at = sizeof(int32_t);
  for (int tokens = 0; tokens < kEnough; ++tokens) {
    if (at == file.size()) return tokens > 2;
    if (file.size() - at < 8) return false;
    const auto score = Load<float>(file, at);
    const auto length = Load<int32_t>(file, at + 4);
    if (!(score > -1e8f && score < 1e8f) || length < 1 || length > longest) return false;
    at += 8;
    if (file.size() - at < static_cast<size_t>(length)) return false;
    at += static_cast<size_t>(length);
  }
  return true;
}

// Seven numbers that could be those of a checkpoint without a magic number.
bool IsLlama2cCheckpoint(string_view file) {
  struct Field {
    int32_t least, most;
  };
  constexpr Field kFields[] = {{2, 1 << 17}, {1, 1 << 20},          {1, 1024},   {1, 4096},
                               {1, 4096},    {-(1 << 24), 1 << 24}, {1, 1 << 24}};
  if (file.size() < sizeof(int32_t) * std::size(kFields)) return false;
  for (size_t i = 0; i < std::size(kFields); ++i) {
    const auto value = Load<int32_t>(file, i * sizeof(int32_t));
    if (value == 0 || value < kFields[i].least || value > kFields[i].most) return false;
  }
  return Load<int32_t>(file, 0) % Load<int32_t>(file, 12) == 0;
}

// A byte or three may be the beginning of anything.
bool IsText(string_view text) {
  return text.size() > 3 && std::ranges::all_of(text, [](char c) {
           return static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\t' || c == '\r';
         });
}

struct JsonKind {
  FileKind kind;
  const char* has;
  const char* what;
  const char* advice;
};
constexpr JsonKind kJsons[] = {
    {kForeign, "\"weight_map\"", "the index of a model in safetensors", kGetGguf},
    {kForeign, "\"model_type\"", "a config.json of Hugging Face, without weights", kGetGguf},
    {kForeign, "\"architectures\"", "a config.json of Hugging Face, without weights", kGetGguf},
    {kForeign, "\"tokenizer_class\"", "a tokenizer_config.json of Hugging Face", kTokenizerInside},
    {kForeign, "\"added_tokens\"", "a tokenizer.json of Hugging Face", kTokenizerInside},
    {kForeign, "\"truncation\"", "a tokenizer.json of Hugging Face", kTokenizerInside},
    {kForeign, "\"error\"", "a server's error instead of the file", kDownloadAgain},
};

FileDescription DescribeJson(string_view text) {
  // As the writers of tvl begin them.
  if (absl::StartsWith(text, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"dropped_events\":"))
    return {kTrace, "a trace of tvl", kNameModel};
  for (const char* report : {"{\n  \"machine\": ", "{\n  \"inspected\": "}) {
    if (absl::StartsWith(text, report)) return {kReport, "a report of tvl", kNameModel};
  }
  if (absl::StartsWith(text, "{\n  \"version\": ") && absl::StrContains(text, "\"tunings\": ["))
    return {kTuning, "the tunings of tvl bench", kNameModel};
  for (const JsonKind& json : kJsons) {
    if (absl::StrContains(text, json.has)) return {json.kind, json.what, json.advice};
  }
  return Foreign("a JSON file", kNameModel);
}

FileDescription DescribeText(string_view text) {
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");  // a byte order mark
  const string_view begin = absl::StripLeadingAsciiWhitespace(text);
  if (begin.empty()) return Foreign("a file of white space", kDownloadAgain);
  if (begin.front() == '{' || begin.front() == '[') return DescribeJson(begin);
  constexpr char kPage[] =
      "it was saved in place of the file: download the file itself, on Hugging Face from an "
      "address with /resolve/ in place of /blob/";
  for (const char* html : {"<!doctype html", "<html", "<!--", "<head", "<body"}) {
    if (absl::StartsWithIgnoreCase(begin, html)) return Foreign("a page of HTML", kPage);
  }
  if (absl::StartsWith(begin, "<")) {
    const bool denied = absl::StrContains(begin, "<Error>");
    return Foreign(denied ? "a server's error in XML" : "an XML file", kDownloadAgain);
  }
  const string_view line = absl::StripAsciiWhitespace(begin.substr(0, begin.find('\n')));
  return Foreign(absl::StrCat("a text, ", Quoted({line.data(), line.size()}, 40)),
                 "if a server sent it in place of the file, download the file again");
}

}  // namespace

FileDescription DescribeFile(std::span<const std::byte> bytes) {
  const string_view file(reinterpret_cast<const char*>(bytes.data()),
                         std::min(bytes.size(), kFileKindBytes));
  if (file.empty()) return Foreign("an empty file", kDownloadAgain);
  if (const Magic* magic = FindMagic(file)) return {magic->kind, magic->what, magic->advice};
  if (std::ranges::all_of(file, [](char c) { return c == 0; }))
    return Foreign("nothing but zeros, which an unfinished download leaves", kDownloadAgain);
  if (IsSafetensors(file)) return Foreign("weights in safetensors", kGetGguf);
  if (absl::StartsWith(file, "PK\x03\x04")) return DescribeZip(file);
  if (IsPickle(file)) return Foreign("a pickle of Python, such as older PyTorch files", kGetGguf);
  if (IsOnnx(file)) return Foreign("an ONNX model", kGetGguf);
  if (IsSentencePiece(file))
    return Foreign("a SentencePiece model (tokenizer.model)", kTokenizerInside);
  if (IsText(file)) return DescribeText(file);
  if (IsLlama2cTokenizer(file)) {
    return {kLlama2cTokenizer, "a tokenizer of llama2.c",
            "it belongs to a checkpoint: 'tvl convert CHECKPOINT OUT --tokenizer THIS' uses it"};
  }
  if (IsLlama2cCheckpoint(file)) {
    return {kLlama2cCheckpoint, "what may be a checkpoint of llama2.c",
            "'tvl convert' makes a .tvl file of it"};
  }
  return {kUnknown, "a file of another kind", ""};
}

std::string WrongFileText(const char* expected, std::span<const std::byte> bytes) {
  const FileDescription file = DescribeFile(bytes);
  if (bytes.empty() || file.kind == kUnknown) return "";
  return absl::StrCat("expected ", expected, ", found ", file.what, "; ", file.advice);
}

}  // namespace tvl
