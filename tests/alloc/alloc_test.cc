// After the first token, generating text asks for no memory: not the forward pass, not sampling,
// not streaming.
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "backends/selected.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "core/trace.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "samplers/greedy.h"
#include "samplers/standard_chain.h"
#include "tests/alloc/counting_allocator.h"
#include "tests/support/test_model.h"
#include "tools/chat/chat_session.h"
#include "tools/generation.h"
#include "tools/model.h"
#include "tools/output.h"

namespace tvl {
namespace {

// Keeps the compiler from leaving out a call whose result nobody uses.
void* Used(void* memory) {
  void* volatile seen = memory;
  return seen;
}

// Each way to ask for memory is really counted, as itself.
TEST(CountingAllocatorTest, CountsEveryCall) {
  const auto calls_of = [](auto&& ask) {
    StartCountingMemoryCalls();
    ask();
    StopCountingMemoryCalls();
    std::string calls;
    for (size_t i = 0; i < static_cast<size_t>(MemoryCall::kCount); ++i) {
      const MemoryCall call = static_cast<MemoryCall>(i);
      if (MemoryCalls(call) > 0) calls += MemoryCallName(call);
    }
    return calls;
  };
  EXPECT_EQ(calls_of([] {}), "");
  EXPECT_EQ(calls_of([] { std::free(Used(std::malloc(10))); }), "malloc");
  EXPECT_EQ(calls_of([] { std::free(Used(std::calloc(10, 10))); }), "calloc");
  EXPECT_EQ(calls_of([] { std::free(Used(std::realloc(Used(nullptr), 10))); }), "realloc");
  EXPECT_EQ(calls_of([] { std::free(Used(std::aligned_alloc(64, 64))); }), "aligned_alloc");
  EXPECT_EQ(calls_of([] { std::free(Used(memalign(64, 64))); }), "memalign");
  EXPECT_EQ(calls_of([] {
              void* memory = nullptr;
              if (posix_memalign(&memory, 64, 64) == 0) std::free(Used(memory));
            }),
            "posix_memalign");
  EXPECT_EQ(calls_of([] { ::operator delete(Used(::operator new(10))); }), "operator new");
  EXPECT_EQ(calls_of([] { ::operator delete[](Used(::operator new[](10))); }), "operator new");
  EXPECT_EQ(calls_of([] {
              constexpr std::align_val_t kAlignment{64};
              ::operator delete(Used(::operator new(64, kAlignment)), kAlignment);
            }),
            "operator new");
  EXPECT_EQ(calls_of([] {
              void* memory = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              munmap(Used(memory), 4096);
            }),
            "mmap");
}

TEST(CountingAllocatorTest, CountsOtherThreads) {
  std::atomic<bool> go = false;
  std::thread other([&] {
    go.wait(false);
    std::free(Used(std::malloc(10)));
  });
  StartCountingMemoryCalls();
  go = true;
  go.notify_all();
  other.join();
  StopCountingMemoryCalls();
  EXPECT_GE(MemoryCalls(MemoryCall::kMalloc), 1u);
}

// (threads, pinning, sampling, traced)
class AllocTest
    : public ::testing::TestWithParam<std::tuple<size_t, Pinning, SamplingOptions, bool>> {};

TEST_P(AllocTest, NothingAfterTheFirstToken) {
  const auto [threads, pinning, sampling, traced] = GetParam();
  // With room for some tokens only, so that the oldest make place.
  const size_t trace_events = traced ? 1000 : 0;
  auto engine = OpenModel<SelectedKernel>(
      "", {.threads = threads, .pinning = pinning, .trace_events = trace_events});
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto tokenizer = OpenTokenizer((*engine)->reader());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  auto session = (*engine)->NewSession({});
  ASSERT_TRUE(session.ok()) << session.status();
  const auto prompt = EncodePrompt(*tokenizer, "Once upon a time");
  const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);

  StandardChain sampler = MakeStandardChain(sampling);
  GenerationStats stats;
  bool first = true;
  const auto sink = [&](std::string_view text) {
    const absl::Status status = WriteAll(fd, text, "/dev/null");
    if (first && !text.empty()) {
      StartCountingMemoryCalls();
      first = false;
    }
    return status;
  };
  Trace* trace = (*engine)->trace();
  ASSERT_EQ(trace != nullptr, traced);
  const auto stop = Generate(*session, *tokenizer, prompt, 60, sampler, sink, &stats,
                             traced ? &trace->ring(0) : nullptr);
  StopCountingMemoryCalls();
  close(fd);
  ASSERT_TRUE(stop.ok()) << stop.status();
  EXPECT_GE(stats.new_tokens, 50u);
  if (traced) {
    EXPECT_GT(trace->ring(threads - 1).dropped(), 0u);
  }
  for (size_t i = 0; i < static_cast<size_t>(MemoryCall::kCount); ++i) {
    const MemoryCall call = static_cast<MemoryCall>(i);
    EXPECT_EQ(MemoryCalls(call), 0u) << MemoryCallName(call);
  }
}

// Nor does a chat, which takes its answers apart into characters, between the first piece of an
// answer and the last.
TEST(ChatAllocTest, NothingWithinAnAnswer) {
  auto engine = OpenModel<SelectedKernel>("", {.threads = 1});
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto tokenizer = OpenTokenizer((*engine)->reader());
  ASSERT_TRUE(tokenizer.ok());
  auto session = (*engine)->NewSession({});
  ASSERT_TRUE(session.ok());
  constexpr size_t kTokens = 60;
  ChatSession chat(*tokenizer, *std::move(session), {.max_tokens = kTokens});
  for (int message = 0; message < 2; ++message) {
    const auto turn = chat.Begin("Once upon a time");
    ASSERT_TRUE(turn.ok()) << turn.status();
    size_t pieces = 0;
    const auto answer = chat.Answer(*turn, [&](std::string_view text) {
      if (text.empty()) return absl::OkStatus();
      ++pieces;
      if (pieces == 1) StartCountingMemoryCalls();
      if (pieces == kTokens - 1) StopCountingMemoryCalls();
      return absl::OkStatus();
    });
    StopCountingMemoryCalls();
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->stats.new_tokens, kTokens);
    EXPECT_GE(pieces, kTokens - 1);
    for (size_t i = 0; i < static_cast<size_t>(MemoryCall::kCount); ++i) {
      const MemoryCall call = static_cast<MemoryCall>(i);
      EXPECT_EQ(MemoryCalls(call), 0u) << MemoryCallName(call);
    }
  }
}

// (weight type, threads)
class WeightTypeAllocTest : public ::testing::TestWithParam<std::tuple<WeightType, size_t>> {};

TEST_P(WeightTypeAllocTest, NothingAfterTheFirstToken) {
  const auto [type, threads] = GetParam();
  testing::TestShape shape;
  if (IsKQuant(type)) shape = {.dim = 256, .hidden_dim = 512, .n_heads = 4, .n_kv_heads = 2};
  const testing::TempTvl file(testing::TestModel(shape).source(), type);
  auto engine = Engine<SelectedKernel>::Open(file.path(), {.threads = threads});
  ASSERT_TRUE(engine.ok()) << engine.status();
  auto session = (*engine)->NewSession({});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_EQ(session->Step(1), absl::OkStatus());
  absl::Status status;
  StartCountingMemoryCalls();
  for (int i = 0; i < 30 && status.ok(); ++i)
    status = session->Step(Greedy().Sample(session->logits(), {}));
  StopCountingMemoryCalls();
  ASSERT_EQ(status, absl::OkStatus());
  for (size_t i = 0; i < static_cast<size_t>(MemoryCall::kCount); ++i) {
    const MemoryCall call = static_cast<MemoryCall>(i);
    EXPECT_EQ(MemoryCalls(call), 0u) << MemoryCallName(call);
  }
}

INSTANTIATE_TEST_SUITE_P(All, WeightTypeAllocTest,
                         ::testing::Combine(::testing::ValuesIn(kWeightTypes),
                                            ::testing::Values(1, 2)));

constexpr SamplingOptions kAllFilters = {
    .top_k = 40, .top_p = 0.95f, .min_p = 0.01f, .temperature = 0.8f, .seed = 1};

// Each of what may allocate, with one thread and with two.
INSTANTIATE_TEST_SUITE_P(All, AllocTest,
                         ::testing::Values(std::tuple{1, Pinning::kOff, SamplingOptions(), false},
                                           std::tuple{2, Pinning::kOff, SamplingOptions(), false},
                                           std::tuple{1, Pinning::kOff,
                                                      SamplingOptions{.temperature = 0.8f}, false},
                                           std::tuple{1, Pinning::kOff, kAllFilters, false},
                                           std::tuple{2, Pinning::kOn, kAllFilters, false},
                                           std::tuple{1, Pinning::kOff, SamplingOptions(), true},
                                           std::tuple{2, Pinning::kOn, SamplingOptions(), true}));

}  // namespace
}  // namespace tvl
