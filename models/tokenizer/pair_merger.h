// Merging neighbours, best first: what byte-pair encodings have in common.
#ifndef TVL_MODELS_TOKENIZER_PAIR_MERGER_H_
#define TVL_MODELS_TOKENIZER_PAIR_MERGER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/token.h"

namespace tvl {

// What two neighbours become, and how good that is.
struct PairMerge {
  TokenId id = -1;  // -1: they do not merge
  // The highest merges first. Where two slots begin alike, the same id has to have the same one.
  uint32_t priority = 0;
};

// Orders as the scores do; -0 and 0 are equal. REQUIRES: not NaN.
inline uint32_t ScorePriority(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

// Works on a sequence of slots, each of which holds something that Rule knows: again and again, of
// all adjacent pairs that can merge, the one with the highest priority does (the leftmost of
// equals), until none can. O(n log n), if the rule takes constant time.
//
//   PairMerge Rule::Find(size_t left, size_t right)               of two neighbouring slots
//   void Rule::Apply(size_t left, size_t right, TokenId id)       left becomes it, right is gone
//
// The slots are a doubly linked list over an array. A merge keeps the left one and unlinks the
// right one, so the order of slots stays the order of positions, and "leftmost" is "lowest slot".
// One merger serves many sequences, so that its memory is allocated once.
template <typename Rule>
class PairMerger {
 public:
  explicit PairMerger(Rule* rule) : rule_(*rule) {}

  // Merges a sequence of `count` slots.
  void Run(size_t count) {
    end_ = count;
    slots_.resize(count);
    for (size_t i = 0; i < count; ++i) slots_[i] = {-1, i == 0 ? end_ : i - 1, i + 1};
    for (size_t i = 0; i < count; ++i) Find(i);
    std::make_heap(queue_.begin(), queue_.end(), WorseThan());
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), WorseThan());
      const Candidate best = queue_.back();
      queue_.pop_back();
      if (slots_[best.slot].merged == best.id) Apply(best.slot);
    }
  }

  // Calls f(slot) for those that are left, in order.
  template <typename F>
  void ForEach(F&& f) const {
    for (size_t slot = 0; slot < end_; slot = slots_[slot].next) f(slot);
  }

 private:
  struct Slot {
    TokenId merged;  // what this and the next slot become, -1: they do not merge
    size_t prev;     // the end of the list at either side is the number of slots
    size_t next;
  };

  // A merge that was possible when it was queued. It still is exactly when its slot's `merged` is
  // `id`: whatever happened between, that is then the merge to do, with the priority noted here.
  struct Candidate {
    uint32_t priority;
    TokenId id;
    size_t slot;
  };
  struct WorseThan {
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.priority != b.priority) return a.priority < b.priority;
      return a.slot > b.slot;
    }
  };

  void Apply(size_t slot) {
    Slot& left = slots_[slot];
    Slot& right = slots_[left.next];
    rule_.Apply(slot, left.next, left.merged);
    left.next = right.next;
    right.merged = -1;  // makes its candidates stale
    if (left.next != end_) slots_[left.next].prev = slot;
    Requeue(slot);
    if (left.prev != end_) Requeue(left.prev);
  }

  void Requeue(size_t slot) {
    if (Find(slot)) std::push_heap(queue_.begin(), queue_.end(), WorseThan());
  }

  // Appends the merge of the slot and the next one to the queue; false if they do not merge.
  bool Find(size_t slot) {
    Slot& left = slots_[slot];
    left.merged = -1;
    if (left.next == end_) return false;
    const PairMerge merge = rule_.Find(slot, left.next);
    if (merge.id < 0) return false;
    left.merged = merge.id;
    queue_.push_back({merge.priority, merge.id, slot});
    return true;
  }

  Rule& rule_;
  size_t end_ = 0;  // number of slots, and the mark of either end of the list
  std::vector<Slot> slots_;
  std::vector<Candidate> queue_;  // heap, best first; holds stale candidates too
};

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_PAIR_MERGER_H_
