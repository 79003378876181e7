// None of this backend's kernels can use an operation of Highway that treats NaN in one way on one
// target and in another way on another: with floats these do not compile. That the kernels agree
// with scalar_reference where numbers are NaN is for //tests/crossval (nan_suite.h), which runs on
// every target.
#include <gtest/gtest.h>

#include "backends/highway_portable/checked_highway-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {
namespace {

using Floats = hn::CappedTag<float, 4>;
using Integers = hn::CappedTag<int32_t, 4>;

template <typename Tag>
constexpr bool MayMin() {
  return requires(hn::Vec<Tag> v) { hn::Min(v, v); };
}
template <typename Tag>
constexpr bool MayMax() {
  return requires(hn::Vec<Tag> v) { hn::Max(v, v); };
}
template <typename Tag>
constexpr bool MayClamp() {
  return requires(hn::Vec<Tag> v) { hn::Clamp(v, v, v); };
}
template <typename Tag>
constexpr bool MayNe() {
  return requires(hn::Vec<Tag> v) { hn::Ne(v, v); };
}
template <typename Tag>
constexpr bool MayMinOfLanes() {
  return requires(Tag tag, hn::Vec<Tag> v) { hn::MinOfLanes(tag, v); };
}
template <typename Tag>
constexpr bool MayMaxOfLanes() {
  return requires(Tag tag, hn::Vec<Tag> v) { hn::MaxOfLanes(tag, v); };
}
template <typename To, typename From>
constexpr bool MayConvert() {
  return requires(To to, hn::Vec<From> v) { hn::ConvertTo(to, v); };
}

TEST(NanOperationsTest, NoneTakesFloats) {
  EXPECT_FALSE(MayMin<Floats>());
  EXPECT_FALSE(MayMax<Floats>());
  EXPECT_FALSE(MayClamp<Floats>());
  EXPECT_FALSE(MayNe<Floats>());
  EXPECT_FALSE(MayMinOfLanes<Floats>());
  EXPECT_FALSE(MayMaxOfLanes<Floats>());
  EXPECT_FALSE((MayConvert<Integers, Floats>()));
}

// So that the test above does not fail to compile for another reason.
TEST(NanOperationsTest, AllTakeIntegers) {
  EXPECT_TRUE(MayMin<Integers>());
  EXPECT_TRUE(MayMax<Integers>());
  EXPECT_TRUE(MayClamp<Integers>());
  EXPECT_TRUE(MayNe<Integers>());
  EXPECT_TRUE(MayMinOfLanes<Integers>());
  EXPECT_TRUE(MayMaxOfLanes<Integers>());
  EXPECT_TRUE((MayConvert<Floats, Integers>()));
}

}  // namespace
}  // namespace tvl::highway_portable
HWY_AFTER_NAMESPACE();
