#include "models/recipe.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/tile.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

Recipe Follow(const std::string& text, WeightType base) {
  Recipe recipe = base;
  const absl::StatusOr<std::vector<RecipeStep>> steps = ParseRecipe(text);
  EXPECT_TRUE(steps.ok()) << steps.status();
  for (const RecipeStep& step : *steps) recipe[step.role] = step.type;
  return recipe;
}

TEST(RecipeTest, LaterStepsWin) {
  const Recipe recipe =
      Follow("wq=f16,attention=q8,wo=bf16,ffn=q4m,w2=f32,embedding=q8", WeightType::kQ4);
  EXPECT_EQ(recipe[TensorRole::kEmbedding], WeightType::kQ8);
  EXPECT_EQ(recipe[TensorRole::kWq], WeightType::kQ8);
  EXPECT_EQ(recipe[TensorRole::kWk], WeightType::kQ8);
  EXPECT_EQ(recipe[TensorRole::kWv], WeightType::kQ8);
  EXPECT_EQ(recipe[TensorRole::kWo], WeightType::kBF16);
  EXPECT_EQ(recipe[TensorRole::kW13], WeightType::kQ4M);
  EXPECT_EQ(recipe[TensorRole::kW2], WeightType::kF32);
  EXPECT_EQ(recipe[TensorRole::kClassifier], WeightType::kQ4);
}

TEST(RecipeTest, Text) {
  for (const WeightType type : kWeightTypes) {
    EXPECT_EQ(RecipeText(type, true), WeightTypeName(type));
    EXPECT_EQ(RecipeText(type, false), WeightTypeName(type));
  }
  const Recipe recipe = Follow("embedding=q8,wo=q8,w2=q8", WeightType::kQ4);
  EXPECT_EQ(RecipeText(recipe, true), "q8 embedding, wo, w2; q4 wq, wk, wv, w13");
  EXPECT_EQ(RecipeText(recipe, false), "q8 embedding, wo, w2; q4 wq, wk, wv, w13, classifier");
  // A tied classifier has no type of its own that could differ.
  EXPECT_EQ(RecipeText(Follow("classifier=f32", WeightType::kQ4), true), "q4");
}

TEST(RecipeTest, KQuantsWantRowsOfWholeSuperblocks) {
  EXPECT_EQ(TypeForCols(WeightType::kQ4K, 512), WeightType::kQ4K);
  EXPECT_EQ(TypeForCols(WeightType::kQ4K, 288), WeightType::kQ4M);
  EXPECT_EQ(TypeForCols(WeightType::kQ5K, 288), WeightType::kQ8);
  EXPECT_EQ(TypeForCols(WeightType::kQ6K, 1), WeightType::kQ8);
  for (const WeightType type : kWeightTypes) {
    EXPECT_EQ(TypeForCols(type, 256), type);
    if (!IsKQuant(type)) {
      EXPECT_EQ(TypeForCols(type, 1), type);
    }
  }
}

TEST(RecipeTest, AsTheSource) {
  Recipe recipe = Recipe::AsSource();
  EXPECT_EQ(recipe[TensorRole::kW2], std::nullopt);
  EXPECT_EQ(RecipeText(recipe, true), "as the source");
  recipe[TensorRole::kW2] = WeightType::kQ8;
  EXPECT_EQ(RecipeText(recipe, true), "q8 w2; as the source embedding, wq, wk, wv, wo, w13");
}

TEST(RecipeTest, SaysWhatIsWrong) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"", "expected ROLE=TYPE, found ''"},
      {"q8", "expected ROLE=TYPE, found 'q8'"},
      {"wq=q8,", "expected ROLE=TYPE, found ''"},
      {"wq=q8,w1=q8",
       "expected embedding, wq, wk, wv, wo, w13, w2, classifier, attention or ffn, found 'w1'"},
      {"=q8",
       "expected embedding, wq, wk, wv, wo, w13, w2, classifier, attention or ffn, found ''"},
      {"wq=", "expected f32, f16, bf16, q8, q4, q4m, q4k, q5k or q6k, found ''"},
      {"wq=q8=q4", "expected f32, f16, bf16, q8, q4, q4m, q4k, q5k or q6k, found 'q8=q4'"},
      {"wq= q8", "expected f32, f16, bf16, q8, q4, q4m, q4k, q5k or q6k, found ' q8'"},
  };
  for (const auto& c : cases) {
    const absl::Status status = ParseRecipe(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
  EXPECT_EQ(ParseWeightType("Q8").status().message(),
            "expected f32, f16, bf16, q8, q4, q4m, q4k, q5k or q6k, found 'Q8'");
}

}  // namespace
}  // namespace tvl
