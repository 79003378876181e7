#include "tests/fuzz/accepted.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backends/scalar_reference/scalar_reference.h"
#include "backends/selected.h"
#include "core/mapped_file.h"
#include "core/token.h"
#include "models/engine.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_reader.h"
#include "samplers/greedy.h"
#include "tools/model.h"

namespace tvl::testing {
namespace {

constexpr size_t kContext = 6;

// The logits after each of a few tokens, by one backend; empty if there is no session to be had.
template <typename K>
std::vector<float> Logits(std::span<const std::byte> file) {
  // One thread: the fuzzer runs one process per core, and no thread is made per input.
  auto engine = Engine<K>::FromBytes(file, "fuzz.tvl", {.threads = 1});
  if (!engine.ok()) return {};
  auto session = (*engine)->NewSession({.context = kContext, .prefill_chunk = 2});
  if (!session.ok()) return {};
  const size_t vocabulary = session->config().vocab_size;
  const size_t prompt_tokens = std::min<size_t>(3, session->context());
  std::vector<TokenId> prompt;
  for (size_t i = 0; i < prompt_tokens; ++i) {
    prompt.push_back(static_cast<TokenId>((i * 7 + 1) % vocabulary));
  }
  TVL_FUZZ_CHECK(session->Prefill(prompt).ok());
  std::vector<float> all;
  while (true) {
    const std::span<float> logits = session->logits();
    all.insert(all.end(), logits.begin(), logits.end());
    const TokenId next = Greedy().Sample(logits);
    if (session->position() == session->context()) return all;
    TVL_FUZZ_CHECK(session->Step(next).ok());
  }
}

// The folder is the process's own: fuzzers run side by side.
std::string OutputPath() {
  static const std::string* const path = [] {
    const char* folder = std::getenv("TEST_TMPDIR");
    return new std::string(
        absl::StrCat(folder != nullptr ? folder : "/tmp", "/fuzz.", getpid(), ".tvl"));
  }();
  return *path;
}

}  // namespace

void FuzzFailure(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: expected %s\n", file, line, condition);
  std::abort();
}

AlignedBuffer<std::byte> Copy(std::span<const std::byte> bytes) {
  AlignedBuffer<std::byte> copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  return copy;
}

void UseTokenizer(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> tokens;
  tokenizer.Encode(text, {.bos = true, .eos = true}, &tokens);
  TokenId previous = -1;
  [[maybe_unused]] volatile int read = 0;  // so that every byte is looked at
  for (const TokenId token : tokens) {
    TVL_FUZZ_CHECK(token >= 0 && static_cast<size_t>(token) < tokenizer.vocab_size());
    for (const char c : tokenizer.Decode(previous, token)) read = c;
    read = tokenizer.IsEnd(token);
    previous = token;
  }
  const TokenId end = static_cast<TokenId>(std::min<size_t>(tokenizer.vocab_size(), 300));
  for (TokenId token = -1; token <= end; ++token) {
    for (const char c : tokenizer.Decode(token, token)) read = c;
  }
}

void ReadTvl(std::span<const std::byte> file) {
  const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file, "fuzz.tvl");
  if (!reader.ok()) {
    TVL_FUZZ_CHECK(reader.status().code() == absl::StatusCode::kInvalidArgument);
    TVL_FUZZ_CHECK(reader.status().message().size() > std::strlen("fuzz.tvl: "));
    return;
  }
  // Wrong checksums are found, not stumbled over.
  for (const TensorInfo& tensor : reader->tensors()) reader->VerifyTensor(tensor).IgnoreError();
  reader->VerifyTokenizer().IgnoreError();
  if (reader->has_tokenizer()) {
    const absl::StatusOr<Tokenizer> tokenizer = OpenTokenizer(*reader);
    if (tokenizer.ok()) UseTokenizer(*tokenizer, "Once upon\xff a \xc3\xa4 time");
  }
  const std::vector<float> expected = Logits<ScalarReference>(file);
  const std::vector<float> actual = Logits<SelectedKernel>(file);
  TVL_FUZZ_CHECK(expected.size() == actual.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const bool both_nan = expected[i] != expected[i] && actual[i] != actual[i];
    TVL_FUZZ_CHECK(expected[i] == actual[i] || both_nan);
  }
}

void ConvertModel(const ModelSource& model, const Recipe& types) {
  const std::string path = OutputPath();
  const absl::Status written = WriteTvl(model, "", path, {.types = types});
  // A number need not be finite, nor a block's scale, and an f32 may be beyond what a block can
  // hold.
  if (absl::IsDataLoss(written)) {
    TVL_FUZZ_CHECK(absl::StartsWith(written.message(), "tensor "));
    return;
  }
  TVL_FUZZ_CHECK(written.ok());
  {
    const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
    TVL_FUZZ_CHECK(file.ok());
    TVL_FUZZ_CHECK(TvlReader::Parse(file->bytes(), path).ok());
    ReadTvl(file->bytes());
  }
  std::remove(path.c_str());
}

}  // namespace tvl::testing
