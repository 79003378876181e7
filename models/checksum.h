// XXH3-64 with seed 0: the checksum of .tvl files and of fingerprints.
#ifndef TVL_MODELS_CHECKSUM_H_
#define TVL_MODELS_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct XXH3_state_s;

namespace tvl {

// Of one run of bytes.
uint64_t Xxh3(std::span<const std::byte> bytes);

// Of bytes that come in pieces; how they are cut does not matter. Allocates once, when made.
class Xxh3Stream {
 public:
  Xxh3Stream();
  void Reset();
  void Update(std::span<const std::byte> bytes);
  uint64_t Digest() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace tvl

#endif  // TVL_MODELS_CHECKSUM_H_
