// Errors, devices and build information of the CUDA library.
#include <stdarg.h>
#include <stdio.h>

#if defined(IGD_CUDA_EMULATION)
#include "cuda_emulation.h"
#else
#include <cuda_runtime_api.h>
#endif

#include "../cpu/runtime.h"
#include "igd/kernels_cuda.h"

namespace igd {
namespace {
thread_local char last_error[512] = "";
}  // namespace

igd_status fail(igd_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof(last_error), format, arguments);
  va_end(arguments);
  return status;
}
}  // namespace igd

extern "C" {

const char* igd_last_error_cuda(void) { return igd::last_error; }

#define IGD_STRING_OF(x) #x
#define IGD_STRING(x) IGD_STRING_OF(x)
#if defined(IGD_CUDA_EMULATION)
#define IGD_CUDA_MAJOR emulation
#define IGD_CUDA_MINOR 0
#else
#define IGD_CUDA_MAJOR __CUDACC_VER_MAJOR__
#define IGD_CUDA_MINOR __CUDACC_VER_MINOR__
#endif
const char* igd_build_info_cuda(void) {
  return "igd_kernels_cuda " IGD_VERSION ", CUDA " IGD_STRING(IGD_CUDA_MAJOR) "." IGD_STRING(
      IGD_CUDA_MINOR) ", architectures " IGD_CUDA_ARCHITECTURES;
}

int igd_device_count_cuda(void) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) return count;
  igd::fail(IGD_UNSUPPORTED, "igd_device_count_cuda: CUDA error %d: %s", static_cast<int>(error),
            cudaGetErrorString(error));
  cudaGetLastError();  // not left behind for the next call
  return 0;
}

}  // extern "C"
