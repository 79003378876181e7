// What tvl bench --tune found out, kept in the user's cache folder for tvl generate.
#ifndef TVL_TOOLS_TUNING_H_
#define TVL_TOOLS_TUNING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tvl {

struct Tuning {
  size_t threads = 1;
  bool pin = false;
};

// "2 threads, pinned".
std::string Describe(const Tuning& tuning);

// What is best depends on the machine, on the kernels, and on the model's size, but hardly on
// anything else of it.
struct TuningKey {
  std::string machine;  // the CPU's name
  size_t cores = 1;     // that this process may use
  std::string backend;
  uint64_t bytes_per_token = 0;  // the nearest power of two

  friend bool operator==(const TuningKey&, const TuningKey&) = default;
};

// The key on this machine.
TuningKey TuningKeyFor(const std::string& backend, uint64_t bytes_per_token);

// tuning.json in the CacheFolder. FailedPrecondition if there is none.
absl::StatusOr<std::string> TuningPath();

// What the file says of a model on this machine. NotFound if there is no file or it does not speak
// of it; any other error means that the file is damaged or not a tuning file, in one sentence that
// names it.
absl::StatusOr<Tuning> FindTuning(const std::string& backend, uint64_t bytes_per_token);

struct KeptTuning {
  TuningKey key;
  Tuning tuning;
};

// All that the file says, of whatever machine. None if there is no file; errors as FindTuning.
absl::StatusOr<std::vector<KeptTuning>> ListTunings();

// Drops what the file says for `key`, or all of it. A file that says nothing any more is removed,
// also one that is damaged if all is dropped. Returns how many tunings it was.
absl::StatusOr<size_t> ForgetTunings(const std::optional<TuningKey>& key);

// Adds to the file, or replaces what it says for this key. A file that is not readable as one is
// replaced as a whole. Returns the path.
absl::StatusOr<std::string> SaveTuning(const TuningKey& key, const Tuning& tuning);

}  // namespace tvl

#endif  // TVL_TOOLS_TUNING_H_
