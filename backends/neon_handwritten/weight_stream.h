// Software prefetch of the weights, which every product streams once from front to back.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_WEIGHT_STREAM_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_WEIGHT_STREAM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/unroll.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

// How far ahead of the loads, in bytes. At 10 to 20 GB/s from DRAM with 100 to 150 ns of latency, 1
// to 3 KB have to be in flight; 12 KB into L2 hides that with room for a TLB miss and for the
// page's edge, at which hardware prefetchers stop. 2 KB into L1 hides L2's latency (10 to 30
// cycles) even at the rate of the arithmetic, about 20 bytes per cycle, and is small against the
// smallest L1 (32 KB on the Cortex-A72). Not yet measured on an ARM machine.
inline constexpr size_t kL1Ahead = 2048;
inline constexpr size_t kL2Ahead = 12288;

// The stream seen from one panel: the addresses a fixed way ahead of the loads, in the next panel
// once past this one's end. Past the last panel of the range they run on into the bytes that
// follow: tensors lie in the file in the order of execution, and gate and up alternate, so that
// these are most often what is multiplied next. Both ways are whole steps, as panels are, so that
// no step is half in this panel and half behind it.
//
// kStepBytes: what is loaded between two calls of Advance or AheadOf.
template <size_t kStepBytes>
class WeightStream {
 public:
  // Panel p of `panels`, which is `bytes` long.
  [[gnu::always_inline]] WeightStream(const TileMatrix& w, PanelRange panels, size_t p,
                                      size_t bytes)
      : end_(Address(w.Panel(p)) + bytes),
        jump_(p + 1 < panels.end ? Address(w.Panel(p + 1)) - end_ : 0),
        // Over a gap the stream is followed into the next panel only, not through it: a cache of
        // values is much longer than the positions in it, and what lies behind those may never have
        // been touched.
        l1_ahead_(jump_ == 0 ? kL1Steps : std::min(kL1Steps, bytes)),
        l2_ahead_(jump_ == 0 ? kL2Steps : std::min(kL2Steps, bytes)) {}

  // The lines to ask for while the step at `at` is loaded.
  class Ahead {
   public:
    // Lines [kBegin, kEnd) of the step.
    template <size_t kBegin, size_t kEnd>
    [[gnu::always_inline]] void Prefetch() const {
      // The last argument is the locality: PLDL1STRM, because L1 sees a line once; PLDL2KEEP until
      // then.
      Unroll<kEnd - kBegin>([&](auto i) __attribute__((always_inline)) {
        // NOLINTBEGIN(performance-no-int-to-ptr): a pointer must not point where these addresses
        // may
        __builtin_prefetch(reinterpret_cast<const void*>(l1_ + (kBegin + i) * kLineBytes), 0, 0);
        __builtin_prefetch(reinterpret_cast<const void*>(l2_ + (kBegin + i) * kLineBytes), 0, 2);
        // NOLINTEND(performance-no-int-to-ptr)
      });
    }

    // Counts lines of the step from line kLines on.
    template <size_t kLines>
    [[gnu::always_inline]] void Skip() {
      l1_ += kLines * kLineBytes;
      l2_ += kLines * kLineBytes;
    }

    // Emits no instruction. What is asked for from here on is asked for no sooner than what is
    // loaded through `p`: gcc moves all of a long step's to its top, more than a core has buffers
    // for.
    template <typename T>
    [[gnu::always_inline]] void After(const T* p) {
      asm("" : "+r"(l1_), "+r"(l2_) : "r"(p));
    }

   private:
    friend class WeightStream;
    uintptr_t l1_;
    uintptr_t l2_;
  };

  [[gnu::always_inline]] Ahead AheadOf(const void* at) const {
    Ahead ahead;
    ahead.l1_ = Follow(Address(at) + l1_ahead_);
    ahead.l2_ = Follow(Address(at) + l2_ahead_);
    return ahead;
  }

  // To be called when the step at `at` is about to be loaded.
  [[gnu::always_inline]] void Advance(const void* at) const {
    AheadOf(at).template Prefetch<0, kStepBytes / kLineBytes>();
  }

 private:
  static constexpr size_t kL1Steps = RoundUp(kL1Ahead, kStepBytes);
  static constexpr size_t kL2Steps = RoundUp(kL2Ahead, kStepBytes);

  static uintptr_t Address(const void* p) { return reinterpret_cast<uintptr_t>(p); }
  // By a mask: as a condition, gcc makes it a branch and keeps jump_ in memory.
  [[gnu::always_inline]] uintptr_t Follow(uintptr_t at) const {
    return at + (jump_ & -uintptr_t{at >= end_});
  }

  uintptr_t end_;
  uintptr_t jump_;  // from this panel's end to the next one's begin
  uintptr_t l1_ahead_;
  uintptr_t l2_ahead_;
};

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_WEIGHT_STREAM_H_
