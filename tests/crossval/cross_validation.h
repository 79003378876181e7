// "One answer": every operation of a backend equals scalar_reference, with == and not a tolerance,
// over shapes and numbers chosen to find a difference. To prove a new backend, include this in a
// test and name it, a type of namespace tvl or of none:
//
//   TVL_CROSS_VALIDATE(MyBackend);
//
// A failure is reproducible: all numbers come from kSeed (tests/support/random.h).
#ifndef TVL_TESTS_CROSSVAL_CROSS_VALIDATION_H_
#define TVL_TESTS_CROSSVAL_CROSS_VALIDATION_H_

#include "tests/crossval/attention_suite.h"
#include "tests/crossval/elementwise_suite.h"
#include "tests/crossval/nan_suite.h"
#include "tests/crossval/products_suite.h"
#include "tests/crossval/quantized_suite.h"

// A macro, because GoogleTest's own registration is one.
#define TVL_CROSS_VALIDATE(Backend)                                  \
  namespace tvl::testing {                                           \
  INSTANTIATE_TYPED_TEST_SUITE_P(Backend, ProductsTest, Backend);    \
  INSTANTIATE_TYPED_TEST_SUITE_P(Backend, QuantizedTest, Backend);   \
  INSTANTIATE_TYPED_TEST_SUITE_P(Backend, ElementwiseTest, Backend); \
  INSTANTIATE_TYPED_TEST_SUITE_P(Backend, AttentionTest, Backend);   \
  INSTANTIATE_TYPED_TEST_SUITE_P(Backend, NanTest, Backend);         \
  static_assert(Kernel<Backend>);                                    \
  }                                                                  \
  static_assert(true)

#endif  // TVL_TESTS_CROSSVAL_CROSS_VALIDATION_H_
