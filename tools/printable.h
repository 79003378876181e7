// Text of unknown origin on a terminal.
#ifndef TVL_TOOLS_PRINTABLE_H_
#define TVL_TOOLS_PRINTABLE_H_

#include <string>
#include <string_view>

namespace tvl {

// `text` as one line that a terminal shows and does not obey: control characters, line separators,
// marks that turn the direction of writing, and what is no UTF-8, are escaped ("\n", "\x1b").
std::string Printable(std::string_view text);

}  // namespace tvl

#endif  // TVL_TOOLS_PRINTABLE_H_
