#include "models/finite_weights.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/tvl_reader.h"
#include "tests/support/hostile_file.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;
using testing::HostileFile;
using testing::TempTvl;
using testing::TestModel;

// A model of some type in memory, of which bytes can be changed.
class Model {
 public:
  explicit Model(WeightType type)
      : file_(TempTvl(TestModel(ShapeFor(type)).source(), type).bytes()),
        reader_(*TvlReader::Parse(file_.bytes(), "test.tvl")) {}

  HostileFile& file() { return file_; }
  const TvlReader& reader() const { return reader_; }
  const TensorInfo& Find(const std::string& name) const {
    for (const TensorInfo& tensor : reader_.tensors()) {
      if (tensor.name == name) return tensor;
    }
    ADD_FAILURE() << name;
    return reader_.tensors()[0];
  }
  // Where `at`, which points into the file, is.
  size_t OffsetOf(const void* at) const {
    return static_cast<size_t>(static_cast<const std::byte*>(at) - file_.bytes().data());
  }

 private:
  // K-quants want rows of whole superblocks.
  static testing::TestShape ShapeFor(WeightType type) {
    if (IsKQuant(type)) return {.dim = 256, .hidden_dim = 256, .n_heads = 4};
    return {.dim = 64, .hidden_dim = 80};
  }

  HostileFile file_;
  TvlReader reader_;
};

std::string Cause(const TvlReader& reader) {
  return std::string(WithCause(absl::DataLossError("no numbers"), reader).message());
}

constexpr size_t kRow = 18, kCol = 37;  // of the second panel, and of the second block

// Makes the number that decides over (kRow, kCol) infinite or NaN.
void Break(Model* model, const TileMatrix& matrix, bool nan) {
  const std::byte* panel = matrix.Panel(kRow / kPanelRows);
  const size_t row = kRow % kPanelRows;
  const size_t base = model->OffsetOf(panel);
  HostileFile& file = model->file();
  const uint16_t f16 = static_cast<uint16_t>(nan ? 0x7E00 : 0xFC00);
  switch (matrix.type) {
    case WeightType::kF32:
      file.Set(base + 4 * TileIndexF32(row, kCol), nan ? NAN : -INFINITY);
      break;
    case WeightType::kF16:
      file.Set(base + 2 * TileIndexF16(row, kCol), f16);
      break;
    case WeightType::kBF16:
      file.Set(base + 2 * TileIndexBF16(row, kCol), static_cast<uint16_t>(nan ? 0x7FC0 : 0xFF80));
      break;
    case WeightType::kQ4K:
    case WeightType::kQ5K:
    case WeightType::kQ6K:
      file.Set(base + 2 * TileIndexKScale(matrix.type, row, kCol), f16);
      break;
    default:
      file.Set(base + 2 * TileIndexScale(matrix.type, row, kCol), f16);
  }
}

TEST(FiniteWeightsTest, NamesTheTensorOfEveryType) {
  for (const WeightType type : kWeightTypes) {
    for (const bool nan : {true, false}) {
      SCOPED_TRACE(absl::StrCat(WeightTypeName(type), nan ? " nan" : " inf"));
      Model model(type);
      for (const TensorInfo& tensor : model.reader().tensors())
        EXPECT_EQ(CheckFinite(tensor), absl::OkStatus());
      EXPECT_THAT(Cause(model.reader()),
                  HasSubstr("test.tvl: no numbers: all its weights are finite"));
      Break(&model, model.reader().view().layer(1).w13.second, nan);
      for (const TensorInfo& tensor : model.reader().tensors())
        EXPECT_EQ(CheckFinite(tensor).ok(), tensor.name != "layers.1.w13") << tensor.name;
      const absl::Status status = CheckFinite(model.Find("layers.1.w13"));
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
      const bool scaled = IsQuantized(type);
      // What the scales of a K-quant are multiplied by is that of all 256 columns.
      const int column = IsKQuant(type) ? 0 : scaled ? 32 : 37;
      EXPECT_EQ(status.message(),
                absl::StrCat("tensor layers.1.w13 (its w3), row 18, column ", column,
                             ": expected a finite ", scaled ? "scale" : "weight", ", found ",
                             nan ? "nan" : "-inf"));
      EXPECT_THAT(Cause(model.reader()),
                  HasSubstr("test.tvl: no numbers: tensor layers.1.w13 (its w3), row 18"));
    }
  }
}

TEST(FiniteWeightsTest, OtherPlaces) {
  Model first(WeightType::kF16);
  Break(&first, first.reader().view().layer(0).w13.first, true);
  EXPECT_THAT(std::string(CheckFinite(first.Find("layers.0.w13")).message()),
              HasSubstr("layers.0.w13 (its w1), row 18, column 37"));

  Model minimum(WeightType::kQ4M);
  const TileMatrix wo = minimum.reader().view().layer(0).wo;
  minimum.file().Set(minimum.OffsetOf(wo.Panel(0)) + 2 * TileIndexMinimum(3, 33), uint16_t{0x7C00});
  EXPECT_THAT(std::string(CheckFinite(minimum.Find("layers.0.wo")).message()),
              HasSubstr("row 3, column 32: expected a finite minimum, found inf"));

  Model k_minimum(WeightType::kQ5K);
  const TileMatrix wq = k_minimum.reader().view().layer(0).wq;
  k_minimum.file().Set(
      k_minimum.OffsetOf(wq.Panel(0)) + 2 * TileIndexKMinimum(WeightType::kQ5K, 3, 33),
      uint16_t{0x7C00});
  EXPECT_THAT(std::string(CheckFinite(k_minimum.Find("layers.0.wq")).message()),
              HasSubstr("row 3, column 0: expected a finite minimum, found "));

  Model vector(WeightType::kQ8);
  vector.file().Set(vector.OffsetOf(&vector.reader().view().final_norm()[5]), NAN);
  EXPECT_THAT(std::string(CheckFinite(vector.Find("final_norm")).message()),
              HasSubstr("final_norm, row 0, column 5: expected a finite weight, found nan"));
}

}  // namespace
}  // namespace tvl
