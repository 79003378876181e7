#include "models/import/gguf_type.h"

#include <cstdint>
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
//   Q5_K     3.7%   0.4%   6.7%   8.3%   Q3_K   16%    0.2%   5.6%   5.4%
//   Q6_K     1.8%   0.4%   7.1%   8.4%   IQ4_NL 7.8%   0.1%   5.7%   8.3%
//
// So five bits and more need q8. IQ4_XS is as IQ4_NL; who prefers its quality to its size takes
// --dtype q8. Q4_K's integers fit q4m as they are: 0.07%.
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
    {kQ4K, "Q4_K", 256, 144, WeightType::kQ4M, kNearly},
    {kQ5K, "Q5_K", 256, 176, WeightType::kQ8, kRequants},
    {kQ6K, "Q6_K", 256, 210, WeightType::kQ8, kRequants},
    {kIQ4NL, "IQ4_NL", 32, 18, WeightType::kQ4M, kRequants},
    {kIQ4XS, "IQ4_XS", 256, 136, WeightType::kQ4M, kRequants},
};

// Types that are not decoded, but have a name.
constexpr struct {
  uint32_t type;
  const char* name;
} kOtherNames[] = {
    {4, "Q4_2"},    {5, "Q4_3"},        {9, "Q8_1"},        {15, "Q8_K"},       {16, "IQ2_XXS"},
    {17, "IQ2_XS"}, {18, "IQ3_XXS"},    {19, "IQ1_S"},      {21, "IQ3_S"},      {22, "IQ2_S"},
    {24, "I8"},     {25, "I16"},        {26, "I32"},        {27, "I64"},        {28, "F64"},
    {29, "IQ1_M"},  {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},   {34, "TQ1_0"},
    {35, "TQ2_0"},  {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {39, "MXFP4"},
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
  for (const auto& other : kOtherNames) {
    if (other.type == type) return absl::StrCat(other.name, " (", type, ")");
  }
  return absl::StrCat(type);
}

}  // namespace tvl
