#include "models/recipe.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace tvl {
namespace {

constexpr TensorRole kAttention[] = {TensorRole::kWq, TensorRole::kWk, TensorRole::kWv,
                                     TensorRole::kWo};
constexpr TensorRole kFeedForward[] = {TensorRole::kW13, TensorRole::kW2};
// By the number of the role.
constexpr const char* kRoleNames[kTensorRoles] = {"embedding", "wq",  "wk", "wv",
                                                  "wo",        "w13", "w2", "classifier"};

// Those that a name stands for; none if it is no name.
std::vector<TensorRole> RolesOf(const std::string& name) {
  if (name == "attention") return {std::begin(kAttention), std::end(kAttention)};
  if (name == "ffn") return {std::begin(kFeedForward), std::end(kFeedForward)};
  for (size_t i = 0; i < kTensorRoles; ++i) {
    if (name == kRoleNames[i]) return {static_cast<TensorRole>(i)};
  }
  return {};
}

absl::Status Expected(const char* what, const std::string& found) {
  return absl::InvalidArgumentError(absl::StrCat("expected ", what, ", found '", found, "'"));
}

}  // namespace

std::string RecipeText(const Recipe& recipe, bool tied_classifier) {
  std::vector<std::string> parts;
  std::vector<std::optional<WeightType>> types(std::begin(kWeightTypes), std::end(kWeightTypes));
  types.emplace_back();
  for (const std::optional<WeightType> type : types) {
    const char* type_name = type ? WeightTypeName(*type) : "as the source";
    std::vector<std::string> names;
    for (size_t i = 0; i < kTensorRoles; ++i) {
      const TensorRole role = static_cast<TensorRole>(i);
      if (recipe[role] != type || (role == TensorRole::kClassifier && tied_classifier)) continue;
      names.emplace_back(kRoleNames[i]);
    }
    if (names.size() == kTensorRoles - (tied_classifier ? 1 : 0)) return type_name;
    if (!names.empty()) parts.push_back(absl::StrCat(type_name, " ", absl::StrJoin(names, ", ")));
  }
  return absl::StrJoin(parts, "; ");
}

WeightType TypeForCols(WeightType type, size_t cols) {
  if (!IsKQuant(type) || cols % kKSuperblock == 0) return type;
  return type == WeightType::kQ4K ? WeightType::kQ4M : WeightType::kQ8;
}

absl::StatusOr<WeightType> ParseWeightType(const std::string& name) {
  for (const WeightType type : kWeightTypes) {
    if (name == WeightTypeName(type)) return type;
  }
  return Expected("f32, f16, bf16, q8, q4, q4m, q4k, q5k or q6k", name);
}

absl::StatusOr<std::vector<RecipeStep>> ParseRecipe(const std::string& text) {
  std::vector<RecipeStep> steps;
  const std::vector<std::string> items = absl::StrSplit(text, ',');
  for (const std::string& item : items) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(item, absl::MaxSplits('=', 1));
    if (item.find('=') == std::string::npos) return Expected("ROLE=TYPE", item);
    const std::vector<TensorRole> roles = RolesOf(parts.first);
    if (roles.empty()) {
      return Expected("embedding, wq, wk, wv, wo, w13, w2, classifier, attention or ffn",
                      parts.first);
    }
    const absl::StatusOr<WeightType> type = ParseWeightType(parts.second);
    if (!type.ok()) return type.status();
    for (const TensorRole role : roles) steps.push_back({role, *type});
  }
  return steps;
}

}  // namespace tvl
