// decode BACKEND MODEL TOKENS: decodes so many tokens, greedily and in one thread, and nothing
// else.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "absl/status/status.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/scalar_reference/scalar_reference.h"
#include "core/kernel.h"
#include "models/engine.h"
#include "samplers/greedy.h"

namespace tvl {
namespace {

template <Kernel K>
absl::Status Decode(const char* model, int tokens) {
  const auto engine = Engine<K>::Open(model, {.threads = 1});
  if (!engine.ok()) return engine.status();
  auto session = (*engine)->NewSession({});
  if (!session.ok()) return session.status();
  constexpr TokenId kBos = 1;
  TokenId token = kBos;
  for (int i = 0; i < tokens; ++i) {
    if (absl::Status s = session->Step(token); !s.ok()) return s;
    token = Greedy().Sample(session->logits());
  }
  return absl::OkStatus();
}

absl::Status Decode(std::string_view backend, const char* model, int tokens) {
  if (backend == ScalarReference::kName) return Decode<ScalarReference>(model, tokens);
  if (backend == NeonHandwritten::kName) return Decode<NeonHandwritten>(model, tokens);
  return absl::InvalidArgumentError("no such backend");
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s BACKEND MODEL TOKENS\n", argv[0]);
    return 2;
  }
  const absl::Status status = tvl::Decode(argv[1], argv[2], std::atoi(argv[3]));
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
