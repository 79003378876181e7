#include "models/finite_weights.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/finite.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "core/tile_weight.h"
#include "models/tvl_format.h"
#include "models/tvl_reader.h"

namespace tvl {
namespace {

// What is not finite, and where.
struct Place {
  size_t row;
  size_t col;
  float found;
  const char* what;  // "weight"
};

// Whether no number of a panel has all bits of its exponent set, `W` being one without scales.
template <WeightType W>
bool PanelIsFinite(const std::byte* panel, size_t cols) {
  const size_t bytes = PanelBytes(W, cols);
  if constexpr (W == WeightType::kF32) {
    return AllFinite({reinterpret_cast<const float*>(panel), bytes / sizeof(float)});
  } else {
    constexpr uint16_t kExponent = W == WeightType::kF16 ? 0x7C00 : 0x7F80;
    uint16_t any = 0;
    for (const uint16_t bits :
         std::span(reinterpret_cast<const uint16_t*>(panel), bytes / sizeof(uint16_t)))
      any |= static_cast<uint16_t>((bits & kExponent) == kExponent);
    return any == 0;
  }
}

// The first in a panel, by columns.
template <WeightType W>
std::optional<Place> FindInPanel(const std::byte* panel, size_t cols) {
  if constexpr (!IsQuantized(W)) {
    if (PanelIsFinite<W>(panel, cols)) return std::nullopt;
  }
  // What a K-quant's integer scales are multiplied by shows in each of them: infinity times 0 is
  // NaN.
  constexpr size_t kStep = IsQuantized(W) ? ScaleBlock(W) : 1;
  const auto wrong = [](float number) { return !AllFinite({&number, 1}); };
  for (size_t k = 0; k < PaddedCols(W, cols); k += kStep) {
    for (size_t row = 0; row < kPanelRows; ++row) {
      if constexpr (IsQuantized(W)) {
        const float scale = PanelScale<W>(panel, row, k);
        if (wrong(scale)) return Place{row, k, scale, "scale"};
        if constexpr (HasMinima(W)) {
          const float minimum = PanelMinimum<W>(panel, row, k);
          if (wrong(minimum)) return Place{row, k, minimum, "minimum"};
        }
      } else {
        const float weight = PanelWeight<W>(panel, row, k);
        if (wrong(weight)) return Place{row, k, weight, "weight"};
      }
    }
  }
  return std::nullopt;
}

std::optional<Place> FindInPanel(WeightType type, const std::byte* panel, size_t cols) {
  std::optional<Place> place;
  WithWeightType(type, [&]<WeightType W>() {
    if constexpr (W != WeightType::kI8) place = FindInPanel<W>(panel, cols);
  });
  return place;
}

std::optional<Place> FindInMatrix(const TileMatrix& matrix) {
  for (size_t p = 0; p < matrix.panels(); ++p) {
    std::optional<Place> place = FindInPanel(matrix.type, matrix.Panel(p), matrix.cols);
    if (!place) continue;
    place->row += p * kPanelRows;
    return place;
  }
  return std::nullopt;
}

std::optional<Place> FindInVector(std::span<const float> numbers) {
  if (AllFinite(numbers)) return std::nullopt;
  size_t i = 0;
  while (AllFinite(numbers.subspan(i, 1))) ++i;
  return Place{0, i, numbers[i], "weight"};
}

absl::Status NotFinite(const TensorInfo& tensor, const char* part, const Place& place) {
  return absl::DataLossError(
      absl::StrCat("tensor ", tensor.name, part, ", row ", place.row, ", column ", place.col,
                   ": expected a finite ", place.what, ", found ",
                   std::isnan(place.found) ? "nan" : absl::StrCat(place.found)));
}

}  // namespace

absl::Status CheckFinite(const TensorInfo& tensor) {
  const std::byte* data = tensor.data.data();
  if (tensor.type == format::kTypeVector) {
    const auto place = FindInVector({reinterpret_cast<const float*>(data), tensor.cols});
    return place ? NotFinite(tensor, "", *place) : absl::OkStatus();
  }
  if (!format::IsTileType(tensor.type)) return absl::OkStatus();
  const WeightType type = static_cast<WeightType>(tensor.type);
  if (!tensor.interleaved) {
    const auto place = FindInMatrix(DenseTileMatrix(data, type, tensor.rows, tensor.cols));
    return place ? NotFinite(tensor, "", *place) : absl::OkStatus();
  }
  const TilePair pair = InterleavedTilePair(data, type, tensor.rows, tensor.cols);
  if (const auto place = FindInMatrix(pair.first)) return NotFinite(tensor, " (its w1)", *place);
  if (const auto place = FindInMatrix(pair.second)) return NotFinite(tensor, " (its w3)", *place);
  return absl::OkStatus();
}

absl::Status WithCause(const absl::Status& not_numbers, const TvlReader& reader) {
  std::string why =
      "all its weights are finite, but what it computes with them grows too large; 'tvl verify' "
      "tells whether the file is damaged";
  for (const TensorInfo& tensor : reader.tensors()) {
    const absl::Status status = CheckFinite(tensor);
    if (status.ok()) continue;
    why = absl::StrCat(status.message(), "; 'tvl verify' names all such tensors");
    break;
  }
  return absl::Status(not_numbers.code(),
                      absl::StrCat(reader.name(), ": ", not_numbers.message(), ": ", why));
}

}  // namespace tvl
