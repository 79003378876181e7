#include "models/tokenizer/score_bpe.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/pair_merger.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr float kNeverMerge = -1e10f;

// Slots hold tokens; two become the token whose piece is their pieces put together.
class TokenRule {
 public:
  TokenRule(const TokenizerView& vocabulary, TokenId* tokens)
      : vocabulary_(vocabulary), tokens_(tokens), joined_(vocabulary.max_piece_bytes()) {}

  PairMerge Find(size_t left_slot, size_t right_slot) {
    const std::string_view left = vocabulary_.piece(tokens_[left_slot]);
    const std::string_view right = vocabulary_.piece(tokens_[right_slot]);
    if (left.size() + right.size() > joined_.size()) return {};
    std::copy(right.begin(), right.end(), std::copy(left.begin(), left.end(), joined_.begin()));
    const TokenId id =
        vocabulary_.FindPiece(std::string_view(joined_.data(), left.size() + right.size()));
    // Written so that NaN, which only a damaged file has, does not merge.
    if (id < 0 || !(vocabulary_.score(id) > kNeverMerge)) return {};
    return {id, ScorePriority(vocabulary_.score(id))};
  }

  void Apply(size_t left, size_t, TokenId id) { tokens_[left] = id; }

 private:
  const TokenizerView& vocabulary_;
  TokenId* const tokens_;
  std::vector<char> joined_;  // as long as the longest piece: longer pairs cannot be pieces
};

}  // namespace

void MergeByScore(const TokenizerView& vocabulary, size_t first, std::vector<TokenId>* tokens) {
  const size_t count = tokens->size() - first;
  if (count < 2) return;
  TokenId* all = tokens->data() + first;
  TokenRule rule(vocabulary, all);
  PairMerger merger(&rule);
  merger.Run(count);
  size_t written = 0;
  merger.ForEach([&](size_t slot) { all[written++] = all[slot]; });
  tokens->resize(first + written);
}

}  // namespace tvl
