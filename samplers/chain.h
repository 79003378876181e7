// Samplers put together from parts, when compiling.
//
//   tvl::Chain sampler(tvl::TopK(40), tvl::TopP(0.9f), tvl::MinP(0.05f), tvl::Temperature(0.8f),
//                      tvl::Draw(seed));
//
// Parts run in the order they are written in. Each but the last is a LogitsProcessor, the last is a
// Sampler (core/sampler.h); those of a program of one's own are as good as those here.
//
// What all parts here agree on:
//
// - Logits stay where they are, at their token's id. A removed token has -infinity, and a part sees
//   only what the parts before it have left: "all" and "likeliest" are meant among those.
// - A part before Temperature works on the distribution that the model predicts, one after it on
//   the tempered one. The usual order, that of llama.cpp, is the one above: what is cut off does
//   not depend on the temperature.
// - Probabilities are Exp(logit - max) of core/canonical_math.h in float, max the largest logit.
//   TopP adds them as integers and Draw as doubles in order of id: see there.
// - Ties go to the lowest id, at the cut of TopK and TopP too.
// - A NaN is never picked. A logit of +infinity is certain, the lowest id of several. Where nothing
//   is in the running, all being -infinity or NaN, the token is 0.
// - Nothing is allocated, ever.
//
// Hence the same logits, seed and step give the same token with every compiler and on every CPU.
#ifndef TVL_SAMPLERS_CHAIN_H_
#define TVL_SAMPLERS_CHAIN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/sampler.h"
#include "core/token.h"

namespace tvl {

namespace internal {

template <typename Parts, typename Processors>
struct IsChain : std::false_type {};
template <typename... Parts, size_t... i>
struct IsChain<std::tuple<Parts...>, std::index_sequence<i...>>
    : std::bool_constant<(LogitsProcessor<std::tuple_element_t<i, std::tuple<Parts...>>> && ...) &&
                         Sampler<std::tuple_element_t<sizeof...(i), std::tuple<Parts...>>>> {};

}  // namespace internal

// Any number of logits processors, then a sampler.
template <typename... Parts>
concept ChainParts =
    sizeof...(Parts) > 0 &&
    internal::IsChain<std::tuple<Parts...>, std::make_index_sequence<sizeof...(Parts) - 1>>::value;

template <typename... Parts>
requires ChainParts<Parts...>
class Chain {
 public:
  explicit Chain(Parts... parts) : parts_(std::move(parts)...) {}

  TokenId Sample(std::span<float> logits, const SampleContext& context) {
    return [&]<size_t... i>(std::index_sequence<i...>) {
      (std::get<i>(parts_).Apply(logits, context), ...);
      return std::get<sizeof...(i)>(parts_).Sample(logits, context);
    }
    (std::make_index_sequence<sizeof...(Parts) - 1>());
  }

  // Of every part that has one.
  void Reset(uint64_t seed) {
    const auto reset = [seed](auto& part) {
      if constexpr (requires { part.Reset(seed); }) part.Reset(seed);
    };
    std::apply([&](Parts&... parts) { (reset(parts), ...); }, parts_);
  }

 private:
  std::tuple<Parts...> parts_;
};

}  // namespace tvl

#endif  // TVL_SAMPLERS_CHAIN_H_
