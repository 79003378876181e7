// What logits say of probabilities, in double precision. No libm takes part and every sum has one
// order, so the digits are the same on every machine, as those of the logits are.
#ifndef TVL_TOOLS_LOG_SOFTMAX_H_
#define TVL_TOOLS_LOG_SOFTMAX_H_

#include <span>

namespace tvl {

// log(sum of e^logit): what is to be subtracted from a logit to get the logarithm of its
// probability. NaN if a logit is NaN or +inf, or if all are -inf. REQUIRES: not empty.
double LogSumExp(std::span<const float> logits);

// The Kullback-Leibler divergence D(p || q) = sum p log(p / q) in nats, of the distributions that
// these logits give; `p_log_sum` and `q_log_sum` are their LogSumExp. +inf where q excludes what p
// does not. REQUIRES: of equal size.
double KlDivergence(std::span<const float> p, double p_log_sum, std::span<const float> q,
                    double q_log_sum);

}  // namespace tvl

#endif  // TVL_TOOLS_LOG_SOFTMAX_H_
