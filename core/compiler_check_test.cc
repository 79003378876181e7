// Compiled with -ffp-contract=fast (BUILD), which must not get through.
#include "core/compiler_check.h"

#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(CompilerCheckTest, RoundingsAreKeptWhateverCoptsSay) { EXPECT_TRUE(CompilerKeepsRoundings()); }

}  // namespace
}  // namespace tvl
