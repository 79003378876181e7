// logits MODEL.tvl KV_TYPE THREADS CHUNK < SEQUENCES > LOGITS: what a model says of sequences of
// token ids.
//
// Each line of the input, "PREFILLED ID ID...", is a session of its own: the first PREFILLED ids
// run as a prompt, CHUNK at a time, the others one by one. The output is the logits of every id,
// f32.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "backend_choice.h"
#include "core/kv_slot.h"
#include "core/token.h"
#include "models/engine.h"
#include "tools/output.h"

namespace tvl {
namespace {

struct Options {
  std::string model;
  SessionOptions session;
  size_t threads = 0;
};

absl::Status Read(std::span<char*> arguments, Options* options) {
  if (arguments.size() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected MODEL KV_TYPE THREADS CHUNK, found ", arguments.size(), " words"));
  }
  options->model = arguments[0];
  bool known = false;
  for (const KvType type : kKvTypes) {
    if (KvTypeName(type) != std::string_view(arguments[1])) continue;
    options->session.kv_type = type;
    known = true;
  }
  if (!known) return absl::InvalidArgumentError(absl::StrCat("no KV type: ", arguments[1]));
  uint64_t threads = 0;
  uint64_t chunk = 0;
  if (!absl::SimpleAtoi(arguments[2], &threads) || !absl::SimpleAtoi(arguments[3], &chunk)) {
    return absl::InvalidArgumentError("THREADS and CHUNK: expected numbers");
  }
  options->threads = threads;
  options->session.prefill_chunk = chunk;
  options->session.all_logits = true;
  return absl::OkStatus();
}

absl::Status Write(std::span<const float> logits) {
  return WriteAll(STDOUT_FILENO,
                  {reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(logits[0])},
                  "standard output");
}

// One line of the input.
absl::Status RunSequence(const std::string& line, const SessionOptions& options,
                         Engine<SelectedKernel>* engine) {
  std::vector<TokenId> ids;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (!absl::SimpleAtoi(word, &ids.emplace_back())) {
      return absl::InvalidArgumentError(absl::StrCat("expected a token id, found ", word));
    }
  }
  if (ids.empty() || ids[0] < 0 || static_cast<size_t>(ids[0]) >= ids.size()) {
    return absl::InvalidArgumentError(absl::StrCat("expected PREFILLED ID..., found ", line));
  }
  const std::span<const TokenId> tokens = std::span(ids).subspan(1);
  const size_t prefilled = static_cast<size_t>(ids[0]);

  auto session = engine->NewSession(options);
  if (!session.ok()) return session.status();
  absl::Status written;
  absl::Status status =
      session->PrefillAll(tokens.first(prefilled), [&](std::span<const float> logits) {
        if (written.ok()) written = Write(logits);
      });
  for (const TokenId token : tokens.subspan(prefilled)) {
    if (!status.ok() || !written.ok()) break;
    status = session->Step(token);
    if (status.ok()) written = Write(session->logits());
  }
  return status.ok() ? written : status;
}

absl::Status Run(std::span<char*> arguments) {
  Options options;
  if (absl::Status s = Read(arguments, &options); !s.ok()) return s;
  auto engine = Engine<SelectedKernel>::Open(options.model, {.threads = options.threads});
  if (!engine.ok()) return engine.status();
  for (std::string line; std::getline(std::cin, line);) {
    if (absl::Status s = RunSequence(line, options.session, engine->get()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  const absl::Status status = tvl::Run(std::span(argv, static_cast<size_t>(argc)).subspan(1));
  if (status.ok()) return 0;
  tvl::PrintNote(absl::StrCat("logits: ", status.message(), "\n"));
  return 1;
}
