// Text from outside in errors.
#ifndef TVL_CORE_QUOTED_H_
#define TVL_CORE_QUOTED_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace tvl {

// In quotes, with all but printable ASCII escaped, so that it does nothing to a terminal, and cut
// where it is long.
inline std::string Quoted(std::string_view text, size_t shown_bytes = 60) {
  return absl::StrCat("'", absl::CHexEscape(std::string(text.substr(0, shown_bytes))),
                      text.size() > shown_bytes ? "...'" : "'");
}

}  // namespace tvl

#endif  // TVL_CORE_QUOTED_H_
