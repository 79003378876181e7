#include "models/import/gguf_type.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace tvl {
namespace {

using enum GgufTensorType;
using enum GgufKeeping;

// What requantising adds, as relative RMS error over a million normally distributed weights that
// ggml had quantised before, beside what that had cost (own):
//
//            own    q8     q4m    q4            own    q8     q4m    q4
//   Q5_1     3.9%   0.4%   6.7%   8.4%   Q2_K   30%    0.3%   4.6%   6.9%
//   IQ4_NL   7.8%   0.1%   5.7%   8.3%   Q3_K   16%    0.2%   5.6%   5.4%
//
// So five bits and more need q8. IQ4_XS is as IQ4_NL; who prefers its quality to its size takes
// --dtype q8.
constexpr GgufTypeInfo kTypes[] = {
    {kF32, "F32", 1, 4, WeightType::kF32, kExact},
    {kF16, "F16", 1, 2, WeightType::kF16, kExact},
    {kBF16, "BF16", 1, 2, WeightType::kBF16, kExact},
    {kQ40, "Q4_0", 32, 18, WeightType::kQ4, kExact},
    {kQ41, "Q4_1", 32, 20, WeightType::kQ4M, kExact},
    {kQ50, "Q5_0", 32, 22, WeightType::kQ8, kExact},
    {kQ51, "Q5_1", 32, 24, WeightType::kQ8, kRequants},
    {kQ80, "Q8_0", 32, 34, WeightType::kQ8, kExact},
    {kQ2K, "Q2_K", 256, 84, WeightType::kQ4M, kRequants},
    {kQ3K, "Q3_K", 256, 110, WeightType::kQ4, kRequants},
    {kQ4K, "Q4_K", 256, 144, WeightType::kQ4K, kExact},
    {kQ5K, "Q5_K", 256, 176, WeightType::kQ5K, kExact},
    {kQ6K, "Q6_K", 256, 210, WeightType::kQ6K, kExact},
    {kIQ4NL, "IQ4_NL", 32, 18, WeightType::kQ4M, kRequants},
    {kIQ4XS, "IQ4_XS", 256, 136, WeightType::kQ4M, kRequants},
};

// Types that are not decoded, but have a name and a size; of those that were given up the size is
// 0.
constexpr struct {
  uint32_t type;
  const char* name;
  GgufBlock block;
} kOthers[] = {
    {4, "Q4_2", {}},
    {5, "Q4_3", {}},
    {9, "Q8_1", {32, 36}},
    {15, "Q8_K", {256, 292}},
    {16, "IQ2_XXS", {256, 66}},
    {17, "IQ2_XS", {256, 74}},
    {18, "IQ3_XXS", {256, 98}},
    {19, "IQ1_S", {256, 50}},
    {21, "IQ3_S", {256, 110}},
    {22, "IQ2_S", {256, 82}},
    {24, "I8", {1, 1}},
    {25, "I16", {1, 2}},
    {26, "I32", {1, 4}},
    {27, "I64", {1, 8}},
    {28, "F64", {1, 8}},
    {29, "IQ1_M", {256, 56}},
    {31, "Q4_0_4_4", {32, 18}},
    {32, "Q4_0_4_8", {32, 18}},
    {33, "Q4_0_8_8", {32, 18}},
    {34, "TQ1_0", {256, 54}},
    {35, "TQ2_0", {256, 66}},
    {36, "IQ4_NL_4_4", {32, 18}},
    {37, "IQ4_NL_4_8", {32, 18}},
    {38, "IQ4_NL_8_8", {32, 18}},
    {39, "MXFP4", {32, 17}},
    {40, "NVFP4", {64, 36}},
    {41, "Q1_0", {128, 18}},
    {42, "Q2_0", {64, 18}},
};

}  // namespace

const GgufTypeInfo* FindGgufType(uint32_t type) {
  for (const GgufTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == type) return &info;
  }
  return nullptr;
}

std::string GgufTypeText(uint32_t type) {
  if (const GgufTypeInfo* info = FindGgufType(type)) return info->name;
  for (const auto& other : kOthers) {
    if (other.type == type) return absl::StrCat(other.name, " (", type, ")");
  }
  return absl::StrCat(type);
}

std::optional<GgufBlock> FindGgufBlock(uint32_t type) {
  if (const GgufTypeInfo* info = FindGgufType(type))
    return GgufBlock{info->block_weights, info->block_bytes};
  for (const auto& other : kOthers) {
    if (other.type == type && other.block.weights > 0) return other.block;
  }
  return std::nullopt;
}

}  // namespace tvl
