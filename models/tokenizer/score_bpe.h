#ifndef TVL_MODELS_TOKENIZER_SCORE_BPE_H_
#define TVL_MODELS_TOKENIZER_SCORE_BPE_H_

#include <cstddef>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Byte-pair merging by score, in place on tokens[first, end): again and again, of all adjacent
// pairs whose pieces put together are a piece, the one with the highest score becomes that piece
// (the leftmost of equals), until no pair is left. Scores of -1e10 and below never merge, as in
// llama2.c.
//
// O(n log n) for n tokens; llama2.c scans all pairs for each merge, O(n^2), and finds the same.
// REQUIRES: vocabulary.has_scores(), every token is in the vocabulary.
void MergeByScore(const TokenizerView& vocabulary, size_t first, std::vector<TokenId>* tokens);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_SCORE_BPE_H_
