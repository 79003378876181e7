// The files of this folder, for tests that run from the workspace's root.
#ifndef TVL_TESTS_GOLDEN_GOLDEN_FILES_H_
#define TVL_TESTS_GOLDEN_GOLDEN_FILES_H_

#include <string>

namespace tvl {

// All of a file of this folder; a message if it cannot be read.
std::string GoldenText(const std::string& file);

// The number that fingerprints.txt gives to `model`; a message if it gives none.
std::string GoldenFingerprint(const std::string& model);

}  // namespace tvl

#endif  // TVL_TESTS_GOLDEN_GOLDEN_FILES_H_
