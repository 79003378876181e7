#include "core/model_config.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;

ModelConfig Valid() {
  ModelConfig c;
  c.dim = 64;
  c.hidden_dim = 172;
  c.n_layers = 5;
  c.n_heads = 8;
  c.n_kv_heads = 4;
  c.head_dim = 8;
  c.vocab_size = 512;
  c.context_length = 512;
  c.norm_epsilon = 1e-5f;
  c.attention_scale = 0.35355338f;
  c.rope_dims = 8;
  c.rope_base = 10000;
  return c;
}

// The error's text after one change to a valid configuration.
std::string ErrorAfter(const std::function<void(ModelConfig&)>& change) {
  ModelConfig c = Valid();
  change(c);
  const absl::Status status = ValidateModelConfig(c);
  if (status.ok()) return "accepted";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ModelConfigTest, AcceptsAValidOne) {
  EXPECT_EQ(ValidateModelConfig(Valid()), absl::OkStatus());
  EXPECT_EQ(Valid().q_dim(), 64u);
  EXPECT_EQ(Valid().kv_dim(), 32u);
  EXPECT_EQ(Valid().heads_per_kv(), 2u);
}

TEST(ModelConfigTest, NamesEveryIntegerOutOfRange) {
  const struct {
    const char* name;
    uint32_t ModelConfig::*field;
    uint32_t low, high;  // the last accepted values
  } fields[] = {
      {"dim", &ModelConfig::dim, 1, 1u << 17},
      {"hidden_dim", &ModelConfig::hidden_dim, 1, 1u << 20},
      {"n_layers", &ModelConfig::n_layers, 1, 1024},
      {"vocab_size", &ModelConfig::vocab_size, 1, 1u << 24},
      {"context_length", &ModelConfig::context_length, 1, 1u << 24},
      {"n_heads", &ModelConfig::n_heads, 4, 4096},
      {"n_kv_heads", &ModelConfig::n_kv_heads, 1, 8},
      {"head_dim", &ModelConfig::head_dim, 8, 1024},
      {"rope_dims", &ModelConfig::rope_dims, 2, 8},
  };
  for (const auto& f : fields) {
    const auto set = [&](uint32_t value) {
      return ErrorAfter([&](ModelConfig& c) { c.*f.field = value; });
    };
    EXPECT_EQ(set(f.low), "accepted") << f.name;
    EXPECT_EQ(set(f.high), "accepted") << f.name;
    const std::string field = std::string("config field ") + f.name + ": expected ";
    EXPECT_THAT(set(0), HasSubstr(field));
    EXPECT_THAT(set(0), HasSubstr("found 0"));
    const uint32_t huge = std::numeric_limits<uint32_t>::max();
    EXPECT_THAT(set(huge), HasSubstr(field));
    EXPECT_THAT(set(huge), HasSubstr("found 4294967295"));
  }
  EXPECT_THAT(ErrorAfter([](ModelConfig& c) { c.dim = (1u << 17) + 1; }),
              HasSubstr("expected 1 to 131072, found 131073"));
}

TEST(ModelConfigTest, NamesEveryNumberOutOfRange) {
  const struct {
    const char* name;
    float ModelConfig::*field;
    float high;
  } fields[] = {{"norm_epsilon", &ModelConfig::norm_epsilon, 1},
                {"attention_scale", &ModelConfig::attention_scale, 1024},
                {"rope_base", &ModelConfig::rope_base, 1e12f}};
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& f : fields) {
    const auto set = [&](float value) {
      return ErrorAfter([&](ModelConfig& c) { c.*f.field = value; });
    };
    EXPECT_EQ(set(std::numeric_limits<float>::denorm_min()), "accepted") << f.name;
    EXPECT_EQ(set(f.high), "accepted") << f.name;
    for (const float bad : {0.0f, -0.0f, -1.0f, f.high * 1.001f, inf, -inf,
                            std::numeric_limits<float>::quiet_NaN()}) {
      EXPECT_THAT(set(bad), HasSubstr(std::string("config field ") + f.name)) << bad;
    }
  }
}

TEST(ModelConfigTest, NamesTheArchitectures) {
  for (const uint32_t unknown : {0u, 6u, 0xffffffffu}) {
    EXPECT_THAT(
        ErrorAfter([&](ModelConfig& c) { c.architecture = static_cast<Architecture>(unknown); }),
        HasSubstr("config field architecture: expected one of 1 (llama), 2 (mistral), 3 (qwen2), 4 "
                  "(qwen3), 5 (llama_bias), found "));
  }
}

TEST(ModelConfigTest, OnlyMistralHasAWindow) {
  const auto set = [](Architecture architecture, uint32_t window) {
    return ErrorAfter([&](ModelConfig& c) {
      c.architecture = architecture;
      c.sliding_window = window;
    });
  };
  for (const ArchitectureTraits& traits : kArchitectures) {
    const bool mistral = traits.id == Architecture::kMistral;
    EXPECT_EQ(set(traits.id, 0), mistral ? "config field sliding_window: expected 1 to 16777216, "
                                           "found 0"
                                         : "accepted");
    EXPECT_EQ(set(traits.id, 7),
              mistral ? "accepted" : "config field sliding_window: expected 0, found 7");
  }
  EXPECT_THAT(set(Architecture::kMistral, 1u << 25), HasSubstr("found 33554432"));
}

TEST(ModelConfigTest, NamesEveryUnknownKind) {
  for (const uint32_t unknown : {0u, 2u, 0xffffffffu}) {
    EXPECT_THAT(
        ErrorAfter([&](ModelConfig& c) { c.activation = static_cast<Activation>(unknown); }),
        HasSubstr("config field activation: expected 1"));
    EXPECT_THAT(ErrorAfter([&](ModelConfig& c) { c.rope_kind = static_cast<RopeKind>(unknown); }),
                HasSubstr("config field rope_kind: expected 1"));
    EXPECT_THAT(
        ErrorAfter([&](ModelConfig& c) { c.rope_scaling = static_cast<RopeScaling>(unknown); }),
        HasSubstr("config field rope_scaling: expected 1"));
  }
}

TEST(ModelConfigTest, FieldsMustAgree) {
  EXPECT_THAT(ErrorAfter([](ModelConfig& c) { c.n_kv_heads = 3; }),
              HasSubstr("config field n_kv_heads: expected a divisor of n_heads = 8, found 3"));
  EXPECT_THAT(ErrorAfter([](ModelConfig& c) { c.n_kv_heads = 16; }),
              HasSubstr("config field n_kv_heads"));
  EXPECT_THAT(ErrorAfter([](ModelConfig& c) { c.rope_dims = 10; }),
              HasSubstr("config field rope_dims: expected 2 to 8, found 10"));
  EXPECT_THAT(ErrorAfter([](ModelConfig& c) { c.rope_dims = 5; }),
              HasSubstr("config field rope_dims: expected an even number, found 5"));
}

TEST(ModelConfigTest, LargestValidSizesDoNotOverflow) {
  ModelConfig c = Valid();
  c.n_heads = c.n_kv_heads = 4096;
  c.head_dim = 1024;
  ASSERT_TRUE(ValidateModelConfig(c).ok());
  EXPECT_EQ(c.q_dim(), uint32_t{1} << 22);
}

}  // namespace
}  // namespace tvl
