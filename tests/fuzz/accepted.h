// What the fuzz targets share: whatever a reader accepts has to be usable without a fault.
#ifndef TVL_TESTS_FUZZ_ACCEPTED_H_
#define TVL_TESTS_FUZZ_ACCEPTED_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "core/aligned_buffer.h"
#include "models/recipe.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tvl_writer.h"

namespace tvl::testing {

// Ends the process, so that the fuzzer keeps the input, unless the condition holds.
#define TVL_FUZZ_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::tvl::testing::FuzzFailure(#condition, __FILE__, __LINE__))
[[noreturn]] void FuzzFailure(const char* condition, const char* file, int line);

// A copy of exactly so many bytes, aligned as a mapped file is, so that a sanitizer sees what is
// read beyond.
AlignedBuffer<std::byte> Copy(std::span<const std::byte> bytes);

// Parses `file` as a .tvl file. What is accepted is verified, tokenized with and generated from:
// every backend of this build has to agree about the logits.
void ReadTvl(std::span<const std::byte> file);

// Text to tokens and back.
void UseTokenizer(const Tokenizer& tokenizer, std::string_view text);

// Writes the model to a .tvl file; what the importer accepts, the reader must.
void ConvertModel(const ModelSource& model, const Recipe& types);

}  // namespace tvl::testing

#endif  // TVL_TESTS_FUZZ_ACCEPTED_H_
