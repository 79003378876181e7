// my_program             counts, with the model of my_view
// my_program MODEL.tvl   continues with 20 tokens
//
// Both with the backend of the build and the sampler of my_sampler; tokens are printed as numbers.
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/thread_pool.h"
#include "core/token.h"
#include "models/engine.h"
#include "my_sampler/no_repeat.h"
#include "my_view/counting_model.h"
#include "samplers/greedy.h"

namespace {

// Prints `count` tokens that follow `tokens`.
template <typename Session>
absl::Status Continue(Session* session, std::vector<tvl::TokenId> tokens, uint64_t count) {
  NoRepeat sampler(/*length=*/2, tvl::Greedy());
  absl::Status status = session->Prefill(tokens);
  for (uint64_t step = 0; step < count && status.ok(); ++step) {
    const tvl::TokenId next = sampler.Sample(session->logits(), {.tokens = tokens, .step = step});
    std::printf("%d ", next);
    tokens.push_back(next);
    status = session->Step(next);
  }
  std::printf("\n");
  return status;
}

absl::Status Count() {
  const CountingModel model(/*tokens=*/6);
  tvl::ThreadPool pool(/*threads=*/2);
  auto session =
      tvl::Session<tvl::SelectedKernel, CountingModel::View>::Create(model.view(), &pool, {});
  if (!session.ok()) return session.status();
  return Continue(&*session, {0}, 14);
}

absl::Status ContinueFile(const std::string& path) {
  auto engine = tvl::Engine<tvl::SelectedKernel>::Open(path, {.threads = 2});
  if (!engine.ok()) return engine.status();  // one sentence: file, field, expected, found
  auto session = (*engine)->NewSession({});
  if (!session.ok()) return session.status();
  return Continue(&*session, {1}, 20);
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = argc > 1 ? ContinueFile(argv[1]) : Count();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
