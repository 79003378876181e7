#ifndef TVL_TOOLS_PERCENTILE_H_
#define TVL_TOOLS_PERCENTILE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace tvl {

// The least of `values` that this part of them (0 to 1) does not exceed; 0 of none.
template <typename T>
double Percentile(std::vector<T> values, double part) {
  if (values.empty()) return 0;
  const size_t index = static_cast<size_t>(std::ceil(part * static_cast<double>(values.size())));
  auto nth = values.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(index, 1) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

}  // namespace tvl

#endif  // TVL_TOOLS_PERCENTILE_H_
