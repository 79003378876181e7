// The cores of this machine: which to compute on, and staying there.
#ifndef TVL_CORE_CPU_CORES_H_
#define TVL_CORE_CPU_CORES_H_

#include <cstddef>
#include <vector>

namespace tvl {

// Cores to use when nobody says otherwise: those this process may run on, and of them the
// performance cores where the system tells them apart, each once, however many hardware threads it
// has. At least 1.
size_t DefaultThreadCount();

// The hardware threads that the calling thread may run on, by the system's numbers, the best first:
// one of each performance core, then one of each other core, then the rest. Empty where the system
// does not let a program choose (macOS).
std::vector<int> CoresByPreference();

// The number of the hardware thread that the calling thread runs on now; -1 where the system does
// not say.
int CurrentCore();

// Keeps the thread that makes it on one of CoresByPreference(). The end, on whatever thread, gives
// that thread back the cores that it had.
class CorePin {
 public:
  explicit CorePin(int core);
  ~CorePin();
  CorePin(const CorePin&) = delete;
  CorePin& operator=(const CorePin&) = delete;

  bool ok() const { return ok_; }  // whether the system agreed

 private:
  bool ok_ = false;
  [[maybe_unused]] int thread_ = 0;  // not on every system
  std::vector<int> before_;
};

}  // namespace tvl

#endif  // TVL_CORE_CPU_CORES_H_
