#include "models/file_kind.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;

FileDescription Describe(std::string_view file) {
  return DescribeFile(std::as_bytes(std::span(file.data(), file.size())));
}

std::string U64(uint64_t value) { return {reinterpret_cast<const char*>(&value), sizeof(value)}; }
std::string I32(int32_t value) { return {reinterpret_cast<const char*>(&value), sizeof(value)}; }
std::string F32(float value) { return {reinterpret_cast<const char*>(&value), sizeof(value)}; }

// A zip archive's first local header.
std::string Zip(std::string_view name) {
  std::string header("PK\x03\x04", 4);
  header.resize(26, '\0');
  const auto size = static_cast<uint16_t>(name.size());
  header.append(reinterpret_cast<const char*>(&size), 2);
  return header + std::string(2, '\0') + std::string(name) + "content";
}

struct Instance {
  const char* name;
  std::string file;
  const char* what;
  const char* advice;
};

TEST(DescribeFileTest, NamesForeignFilesAndSaysWhatToDo) {
  const std::string zeros(5000, '\0');
  const Instance instances[] = {
      {"safetensors", U64(64) + "{\"__metadata__\":{\"format\":\"pt\"}}", "safetensors", "GGUF"},
      {"long safetensors", U64(90'000'000) + "{\"a\"", "safetensors", "GGUF"},
      {"torch.save", Zip("archive/data.pkl"), "a PyTorch file", "GGUF"},
      {"torch.save to a name", Zip("consolidated.00/data.pkl"), "a PyTorch file", "GGUF"},
      {"TorchScript", Zip("model/version"), "a PyTorch file", "GGUF"},
      {"legacy torch.save", "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "PyTorch",
       "GGUF"},
      {"pickle 2", "\x80\x02}q\x01.", "pickle", "GGUF"},
      {"pickle 4", "\x80\x04\x95\x10.", "pickle", "GGUF"},
      {"npz", Zip("model.layers.0.npy"), "MLX", "GGUF"},
      {"zip", Zip("readme.txt"), "a zip archive", "unpack"},
      {"zip of a folder", Zip("model/model.gguf"), "a zip archive", "unpack"},
      {"gzip", "\x1f\x8b\x08", "gzip", "unpack"},
      {"zstd", "\x28\xb5\x2f\xfd...", "zstd", "unpack"},
      {"xz",
       std::string("\xfd"
                   "7zXZ\0..",
                   8),
       "xz", "unpack"},
      {"tar", std::string(257, 'a') + "ustar", "tar", "unpack"},
      {"ggml", "lmgg\x01", "GGML", "GGUF"},
      {"ggjt", "tjgg\x03", "GGML", "GGUF"},
      {"onnx of PyTorch",
       "\x08\x07\x12\x07pytorch\x1a\x03"
       "2.0",
       "ONNX", "GGUF"},
      {"onnx of another", "\x08\x0a\x3a\x20...", "ONNX", "GGUF"},
      {"HDF5", "\x89HDF\r\n\x1a\n...", "HDF5", "GGUF"},
      {"page", "<!DOCTYPE html>\n<html>", "HTML", "/resolve/"},
      {"page with white space and a mark", "\xef\xbb\xbf\n \n<HTML lang=en>", "HTML", "/resolve/"},
      {"S3", "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", "server's error",
       "download"},
      {"XML", "<plist>", "XML", "download"},
      {"text", "Access denied\n", "'Access denied'", "download"},
      {"not found", "Entry not found", "'Entry not found'", "download"},
      {"server's JSON", "{\"error\":\"Repository not found\"}", "server's error", "download"},
      {"LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS",
       "git lfs pull"},
      {"annex", "/annex/objects/SHA256E-s1--0.gguf\n", "git-annex", "git annex get"},
      {"config.json", "{\n  \"architectures\": [\"X\"],\n  \"model_type\": \"x\"}", "config.json",
       "GGUF"},
      {"index", "{\"metadata\": {}, \"weight_map\": {}}", "index", "GGUF"},
      {"tokenizer.json", "{\"version\": \"1.0\", \"truncation\": null}", "tokenizer.json",
       "inside"},
      {"JSON", "[1, 2]", "a JSON file", "name the model's"},
      {"SentencePiece", std::string("\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", 16), "SentencePiece",
       "tokenizer.py"},
      {"zeros", zeros, "zeros", "download"},
      {"one zero", std::string(1, '\0'), "zeros", "download"},
      {"nothing", "", "an empty file", "download"},
      {"ELF",
       "\x7f"
       "ELF\x02",
       "a program", "name the model's"},
      {"llamafile", "MZqFpD='\n", "llamafile", "unpack"},
  };
  for (const Instance& i : instances) {
    SCOPED_TRACE(i.name);
    const FileDescription description = Describe(i.file);
    EXPECT_EQ(description.kind, FileKind::kForeign);
    EXPECT_THAT(description.what, HasSubstr(i.what));
    EXPECT_THAT(description.advice, HasSubstr(i.advice));
  }
}

TEST(DescribeFileTest, KnowsWhatTvlReadsAndWrites) {
  EXPECT_EQ(Describe("GGUF\x03").kind, FileKind::kGguf);
  EXPECT_EQ(Describe("\x89TVL\r\n\x1a\n...").kind, FileKind::kTvl);
  EXPECT_EQ(Describe("\x89TVS\r\n\x1a\n...").kind, FileKind::kSession);
  EXPECT_EQ(Describe("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"dropped_events\":0},").kind,
            FileKind::kTrace);
  EXPECT_EQ(Describe("{\n  \"machine\": \"a\",").kind, FileKind::kReport);
  EXPECT_EQ(Describe("{\n  \"inspected\": \"a\",").kind, FileKind::kReport);
  EXPECT_EQ(Describe("{\n  \"version\": 1,\n  \"tunings\": [\n").kind, FileKind::kTuning);
  // JSON of others has the same words elsewhere.
  EXPECT_EQ(Describe("{\"traceEvents\":[{\"displayTimeUnit\":\"ns\"}]}").kind, FileKind::kForeign);
  EXPECT_EQ(Describe("{\"a\": 1,\n  \"machine\": 1}").kind, FileKind::kForeign);
}

TEST(DescribeFileTest, KnowsFilesOfLlama2c) {
  std::string header;
  for (const int32_t value : {288, 768, 6, 6, 6, 32000, 256}) header += I32(value);
  EXPECT_EQ(Describe(header + F32(0.5f)).kind, FileKind::kLlama2cCheckpoint);
  EXPECT_EQ(Describe("24ka\x01").kind, FileKind::kLlama2cCheckpoint);
  std::string tokenizer = I32(7);
  for (const char* piece : {"<unk>", "\n<s>\n", "\n</s>\n", "ab", "c"})
    tokenizer += F32(-1) + I32(static_cast<int32_t>(std::strlen(piece))) + piece;
  EXPECT_EQ(Describe(tokenizer).kind, FileKind::kLlama2cTokenizer);
  EXPECT_NE(Describe(tokenizer + "x").kind, FileKind::kLlama2cTokenizer);
}

TEST(DescribeFileTest, GuessesNothingOfNoise) {
  std::mt19937 random(1);
  std::string file(4096, '\0');
  for (int i = 0; i < 200; ++i) {
    for (char& c : file) c = static_cast<char>(random());
    file[0] = '\xee';  // begins no format
    EXPECT_EQ(Describe(file).kind, FileKind::kUnknown);
    EXPECT_EQ(WrongFileText("a model", std::as_bytes(std::span(file))), "");
  }
}

TEST(DescribeFileTest, LooksAtShortFilesToTheirEndOnly) {
  const std::string beginnings[] = {Zip("archive/data.pkl"), "\x89TVL\r\n\x1a\n",
                                    "\x08\x07\x12\x07p", U64(64) + "{}",
                                    std::string("\n\x0e\n\x05<unk>", 9)};
  for (const std::string& file : beginnings) {
    for (size_t size = 0; size < file.size(); ++size) {
      const std::string cut(file, 0, size);  // so that a sanitizer sees what is read beyond
      EXPECT_NE(Describe(cut).what, "");
    }
  }
}

TEST(DescribeFileTest, TakesNoByteOrTwoForAText) {
  EXPECT_EQ(Describe("$").kind, FileKind::kUnknown);
  EXPECT_EQ(Describe("no").kind, FileKind::kUnknown);
  EXPECT_EQ(Describe("none").kind, FileKind::kForeign);
}

TEST(DescribeFileTest, EscapesWhatItQuotes) {
  EXPECT_THAT(Describe("caf\xc3\xa9 is not here\nno").what,
              HasSubstr("'caf\\xc3\\xa9 is not here'"));
  EXPECT_THAT(Describe(std::string(1000, 'x')).what, HasSubstr("...'"));
}

TEST(WrongFileTextTest, IsOneSentence) {
  const std::string_view file = "\x1f\x8b";
  EXPECT_EQ(WrongFileText("a .tvl or GGUF file", std::as_bytes(std::span(file))),
            "expected a .tvl or GGUF file, found a gzip archive; unpack it and name the .gguf file "
            "that is in it");
}

}  // namespace
}  // namespace tvl
