// Devices: selection and description.
#include "igd/device_cuda.h"

#include <cuda_runtime_api.h>
#include <stdio.h>

#include "../cpu/runtime.h"

namespace {
igd_status status_of(const char* function, cudaError_t error) {
  if (error == cudaSuccess) return IGD_OK;
  cudaGetLastError();  // not left behind for the next call
  return igd::fail(IGD_UNSUPPORTED, "%s: CUDA error %d: %s", function, static_cast<int>(error),
                   cudaGetErrorString(error));
}
}  // namespace

extern "C" {

igd_status igd_device_select_cuda(int device) {
  return status_of("igd_device_select_cuda", cudaSetDevice(device));
}

const char* igd_device_name_cuda(int device) {
  static thread_local char line[512];
  line[0] = '\0';
  cudaDeviceProp properties;
  int driver = 0, runtime = 0;
  cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error == cudaSuccess) error = cudaDriverGetVersion(&driver);
  if (error == cudaSuccess) error = cudaRuntimeGetVersion(&runtime);
  if (status_of("igd_device_name_cuda", error) != IGD_OK) return line;
  snprintf(line, sizeof(line),
           "%s, compute capability %d.%d, %d multiprocessors, %zu MiB, driver CUDA %d.%d, runtime %d.%d",
           properties.name, properties.major, properties.minor, properties.multiProcessorCount,
           properties.totalGlobalMem >> 20, driver / 1000, driver % 1000 / 10, runtime / 1000,
           runtime % 1000 / 10);
  return line;
}

}  // extern "C"
