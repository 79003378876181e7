// Which weight type each kind of matrix gets.
#ifndef TVL_MODELS_RECIPE_H_
#define TVL_MODELS_RECIPE_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tile.h"

namespace tvl {

// The matrices of a layer play the same roles in every layer.
enum class TensorRole { kEmbedding, kWq, kWk, kWv, kWo, kW13, kW2, kClassifier };
inline constexpr size_t kTensorRoles = 8;

class Recipe {
 public:
  // All alike; not explicit, so that a type can stand for its recipe.
  Recipe(WeightType all) { types_.fill(all); }  // NOLINT(google-explicit-constructor)
  // Each matrix in the type that keeps most of its source's (MatrixSource::kept_as).
  static Recipe AsSource() { return Recipe(); }

  // None: the source's own.
  std::optional<WeightType>& operator[](TensorRole role) {
    return types_[static_cast<size_t>(role)];
  }
  std::optional<WeightType> operator[](TensorRole role) const {
    return types_[static_cast<size_t>(role)];
  }

 private:
  Recipe() = default;
  std::array<std::optional<WeightType>, kTensorRoles> types_;
};

// "q8", or "q8 embedding, wo, w2; q4 wq, wk, wv, w13". The classifier is left out where it is tied.
// What is the source's comes last: "as the source wk, wv".
std::string RecipeText(const Recipe& recipe, bool tied_classifier);

// What a matrix of `cols` columns gets that is to have the type: the type itself, but where `cols`
// is no multiple of 256 for q4k q4m, and for q5k and q6k q8, which waste nothing on padding.
WeightType TypeForCols(WeightType type, size_t cols);

// The type of that name (WeightTypeName). InvalidArgument that lists them all.
absl::StatusOr<WeightType> ParseWeightType(const std::string& name);

struct RecipeStep {
  TensorRole role;
  WeightType type;
};

// "ROLE=TYPE,ROLE=TYPE...", to be followed in this order. `attention` is short for wq, wk, wv and
// wo, `ffn` for w13 and w2. InvalidArgument: what was expected and found.
absl::StatusOr<std::vector<RecipeStep>> ParseRecipe(const std::string& text);

}  // namespace tvl

#endif  // TVL_MODELS_RECIPE_H_
