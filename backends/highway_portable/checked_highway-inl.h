// Highway as this backend may use it: without the operations whose result is another one on another
// target where a number is NaN.
//
// Highway 1.0.3 (findings/highway_ne_and_nan.sh): Ne of two NaN is false on AVX-512 and true on
// AVX2 and NEON; Max and Min give their second operand on x86 and the number on NEON, whose maximum
// over lanes gives NaN; Clamp and the conversion to integers differ likewise. Maxima of floats are
// comparisons and selections here, which all targets have alike, and floats become integers only
// where QuantizeBlock has seen that all are finite. Of integers, and of integers that become
// floats, all is well: these are allowed, and a use with floats does not compile
// (nan_operations_test.cc).
//
// Included inside HWY_BEFORE_NAMESPACE / HWY_AFTER_NAMESPACE only.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_CHECKED_HIGHWAY_INL_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_CHECKED_HIGHWAY_INL_H_

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

// What is declared here hides what it is named after.
namespace hn {

using namespace hwy::HWY_NAMESPACE;  // NOLINT: this namespace is that one, but for what follows

template <typename Vector>
concept IntegerVector = !hwy::IsFloat<hwy::HWY_NAMESPACE::TFromV<Vector>>();

template <IntegerVector Vector>
HWY_INLINE Vector Min(Vector a, Vector b) {
  return hwy::HWY_NAMESPACE::Min(a, b);
}
template <IntegerVector Vector>
HWY_INLINE Vector Max(Vector a, Vector b) {
  return hwy::HWY_NAMESPACE::Max(a, b);
}
template <IntegerVector Vector>
HWY_INLINE Vector Clamp(Vector v, Vector low, Vector high) {
  return hwy::HWY_NAMESPACE::Clamp(v, low, high);
}
template <IntegerVector Vector>
HWY_INLINE auto Ne(Vector a, Vector b) {
  return hwy::HWY_NAMESPACE::Ne(a, b);
}
template <typename Tag, IntegerVector Vector>
HWY_INLINE Vector MinOfLanes(Tag tag, Vector v) {
  return hwy::HWY_NAMESPACE::MinOfLanes(tag, v);
}
template <typename Tag, IntegerVector Vector>
HWY_INLINE Vector MaxOfLanes(Tag tag, Vector v) {
  return hwy::HWY_NAMESPACE::MaxOfLanes(tag, v);
}
template <typename Tag, IntegerVector Vector>
HWY_INLINE auto ConvertTo(Tag tag, Vector v) {
  return hwy::HWY_NAMESPACE::ConvertTo(tag, v);
}

}  // namespace hn
}  // namespace tvl::highway_portable
HWY_AFTER_NAMESPACE();

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_CHECKED_HIGHWAY_INL_H_
