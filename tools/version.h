#ifndef TVL_TOOLS_VERSION_H_
#define TVL_TOOLS_VERSION_H_

namespace tvl {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace tvl

#endif  // TVL_TOOLS_VERSION_H_
