// The checkpoint of the embedded model, quantised: its fingerprints. (K-quants are in w2 alone,
// whose rows are two superblocks; the other matrices become what TypeForCols says.) Built once per
// backend (see BUILD). Arguments: the checkpoint and its tokenizer.
#include <cstddef>
#include <cstdint>

#include "backend_choice.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "tests/golden/checkpoint_golden.h"

namespace tvl {
namespace {

TEST(Tales3mGoldenTest, Fingerprint) {
  constexpr size_t kThreads[] = {1, 3};
  constexpr uint64_t kChunks[] = {64, 2};
  ExpectFingerprints<SelectedKernel>("tales3M", kQuantizedTypes, kThreads, kChunks);
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) { return tvl::RunCheckpointTests(argc, argv); }
