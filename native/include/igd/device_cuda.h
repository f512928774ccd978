/* CUDA devices, in libigd_kernels_cuda: which there are, and which one the calling thread uses. */
#ifndef IGD_DEVICE_CUDA_H_
#define IGD_DEVICE_CUDA_H_

#include "igd/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a device the calling thread's current one, for this library's own copy of the CUDA runtime. */
IGD_API igd_status igd_device_select_cuda(int device);

/* One line about a device: name, compute capability, memory, driver and runtime version; "" if there is none.
 * Valid until the next call of the same thread. */
IGD_API const char* igd_device_name_cuda(int device);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IGD_DEVICE_CUDA_H_ */
