#include "my_view/counting_model.h"

#include "absl/status/status.h"
#include "backends/selected.h"
#include "core/model_config.h"
#include "core/thread_pool.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "samplers/greedy.h"

namespace {

TEST(CountingModelTest, Counts) {
  for (const uint32_t tokens : {2, 10, 34}) {
    const CountingModel model(tokens);
    EXPECT_EQ(tvl::ValidateModelConfig(model.view().config()), absl::OkStatus());
    tvl::ThreadPool pool(2);
    auto session =
        tvl::Session<tvl::SelectedKernel, CountingModel::View>::Create(model.view(), &pool, {});
    ASSERT_TRUE(session.ok()) << session.status();
    tvl::TokenId token = 1;
    for (uint32_t i = 0; i < 2 * tokens; ++i) {
      ASSERT_EQ(session->Step(token), absl::OkStatus());
      const tvl::TokenId next = tvl::Greedy().Sample(session->logits());
      EXPECT_EQ(next, (token + 1) % static_cast<tvl::TokenId>(tokens));
      token = next;
    }
  }
}

}  // namespace
