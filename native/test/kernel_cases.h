// One table of operations x shapes x element types, run on any engine (the CPU kernels, the CUDA kernels under
// emulation, the CUDA kernels on a device) and compared with plain float64 expressions.
#ifndef IGD_TEST_KERNEL_CASES_H_
#define IGD_TEST_KERNEL_CASES_H_

#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <string>
#include <vector>

#include "igd/kernels.h"

namespace igd_test {

// Where arrays live and how calls are made.
struct Engine {
  std::string name;
  bool cuda;
  std::function<void*(size_t)> allocate;  // aligned to 16 bytes at least
  std::function<void(void*)> release;
  std::function<void(void* device, const void* host, size_t bytes)> to_device;
  std::function<void(void* host, const void* device, size_t bytes)> to_host;  // waits for all streams
  // Makes a call, on a stream of the engine's choice, and checks that it succeeds.
  std::function<void(const std::string& what, const std::function<igd_status(void* stream)>& call)> call;
};

// The CPU kernels.
Engine cpu_engine();

// Runs every operation that the engine has; `only`: nullptr, or the one operation to run. Adds a hash of every
// result to `hashes`, in a fixed order, if it is not nullptr. More shapes if `large`.
void run_kernel_cases(const Engine& engine, bool large, const char* only, std::vector<uint64_t>* hashes);

// What the header of a kernel file claims of one call.
struct Claim {
  std::string operation, dtype, shape;
  int64_t launches;
  double minimum;    // bytes: every input and output once, gathers by what lies at the places
  double requested;  // bytes that all threads ask for together, caches included
};

// One larger call of every CUDA operation and element type, without comparison: `before` it, and `after` it with what
// is claimed of it.
void run_traffic_cases(const Engine& engine, const std::function<void()>& before,
                       const std::function<void(const Claim&)>& after);

}  // namespace igd_test

#endif  // IGD_TEST_KERNEL_CASES_H_
