#include "models/tokenizer/score_bpe.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr float kNeverMerge = -1e10f;

// One token in a doubly linked list over an array. A merge keeps the left symbol and unlinks the
// right one, so the order of slots stays the order of positions, and "leftmost" is "lowest slot".
struct Symbol {
  TokenId id;
  TokenId merged;  // what this and the next symbol become, -1: they do not merge
  size_t prev;     // slots; the end of the list at either side is the number of slots
  size_t next;
};

// A merge that was possible when it was queued. It still is exactly when its symbol's `merged` is
// `id`: whatever happened between, that is then the merge to do, with the score noted here.
struct Candidate {
  float score;
  TokenId id;
  size_t slot;
};

struct WorseThan {
  bool operator()(const Candidate& a, const Candidate& b) const {
    if (a.score != b.score) return a.score < b.score;
    return a.slot > b.slot;
  }
};

class Merger {
 public:
  Merger(const TokenizerView& vocabulary, const TokenId* tokens, size_t count)
      : vocabulary_(vocabulary),
        end_(count),
        symbols_(count),
        joined_(vocabulary.max_piece_bytes()) {
    for (size_t i = 0; i < count; ++i) {
      symbols_[i] = {tokens[i], -1, i == 0 ? end_ : i - 1, i + 1};
    }
    for (size_t i = 0; i < count; ++i) {
      if (FindMerge(i)) queue_.push_back(CandidateAt(i));
    }
    std::make_heap(queue_.begin(), queue_.end(), WorseThan());
  }

  void Run() {
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), WorseThan());
      const Candidate best = queue_.back();
      queue_.pop_back();
      if (symbols_[best.slot].merged == best.id) Apply(best.slot);
    }
  }

  // Writes the remaining tokens to `out`, which has room for all there were; returns their number.
  size_t Emit(TokenId* out) const {
    size_t written = 0;
    for (size_t slot = 0; slot != end_; slot = symbols_[slot].next) {
      out[written++] = symbols_[slot].id;
    }
    return written;
  }

 private:
  void Apply(size_t slot) {
    Symbol& left = symbols_[slot];
    Symbol& right = symbols_[left.next];
    left.id = left.merged;
    left.next = right.next;
    right.merged = -1;  // makes its candidates stale
    if (left.next != end_) symbols_[left.next].prev = slot;
    Requeue(slot);
    if (left.prev != end_) Requeue(left.prev);
  }

  void Requeue(size_t slot) {
    if (!FindMerge(slot)) return;
    queue_.push_back(CandidateAt(slot));
    std::push_heap(queue_.begin(), queue_.end(), WorseThan());
  }

  Candidate CandidateAt(size_t slot) const {
    const TokenId merged = symbols_[slot].merged;
    return {vocabulary_.score(merged), merged, slot};
  }

  // Sets `merged` of the symbol; false when it and its neighbour do not merge.
  bool FindMerge(size_t slot) {
    Symbol& symbol = symbols_[slot];
    symbol.merged = -1;
    if (symbol.next == end_) return false;
    const std::string_view left = vocabulary_.piece(symbol.id);
    const std::string_view right = vocabulary_.piece(symbols_[symbol.next].id);
    if (left.size() + right.size() > joined_.size()) return false;
    std::copy(right.begin(), right.end(), std::copy(left.begin(), left.end(), joined_.begin()));
    const TokenId id =
        vocabulary_.FindPiece(std::string_view(joined_.data(), left.size() + right.size()));
    // Written so that NaN, which only a damaged file has, never enters the heap's order.
    if (id < 0 || !(vocabulary_.score(id) > kNeverMerge)) return false;
    symbol.merged = id;
    return true;
  }

  const TokenizerView& vocabulary_;
  const size_t end_;  // number of slots, and the mark of either end of the list
  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_;  // heap, best first; holds stale candidates too
  std::vector<char> joined_;      // as long as the longest piece: longer pairs cannot be pieces
};

}  // namespace

void MergeByScore(const TokenizerView& vocabulary, size_t first, std::vector<TokenId>* tokens) {
  const size_t count = tokens->size() - first;
  if (count < 2) return;
  Merger merger(vocabulary, tokens->data() + first, count);
  merger.Run();
  tokens->resize(first + merger.Emit(tokens->data() + first));
}

}  // namespace tvl
