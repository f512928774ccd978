/*
 * igdefense native kernels on CUDA: the functions of igd/kernels.h with the suffix _cuda, in
 * libigd_kernels_cuda. Compiled for every supported architecture; not yet run on a GPU by its authors.
 *
 * As in igd/kernels.h, except:
 * - Every array is device memory of the current device, workspaces too; only the arguments are checked.
 * - `stream` is a cudaStream_t (NULL: the default stream). Calls return after the launch; results are there
 *   when the stream has run. A fault while running shows in a later CUDA call.
 * - Errors of the CUDA runtime are IGD_UNSUPPORTED, with its words in igd_last_error_cuda().
 * - `workspace` is scratch memory of the size that the matching *_workspace_cuda function returns, aligned to
 *   16 bytes; it must not be shared by calls that may run at the same time.
 * - Sums are deterministic (no atomics), but in another order than on the CPU.
 */
#ifndef IGD_KERNELS_CUDA_H_
#define IGD_KERNELS_CUDA_H_

#include <stdint.h>

#include "igd/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Message of the last call of this library by this thread that did not return IGD_OK. */
IGD_API const char* igd_last_error_cuda(void);

/* One line about the build: version, compiler, architectures. Static storage. */
IGD_API const char* igd_build_info_cuda(void);

/* Number of usable CUDA devices; 0 if there is none or no driver (igd_last_error_cuda() then says why). */
IGD_API int igd_device_count_cuda(void);

/* Bytes of workspace for igd_loo_penultimate_accumulate_cuda; -1 if the sizes are invalid. */
IGD_API int64_t igd_loo_penultimate_workspace_cuda(int64_t n, int64_t u);

/*
 * igd_loo_penultimate_accumulate on the device (labels [N], class_sums [K,U], class_counts [K] too).
 * bad_label  [1] int64, device, in/out: zero it before the first batch. A label out of range sets it to 1 +
 *            the index of the first such label of its batch; while it is not 0, calls add nothing.
 */
IGD_API igd_status igd_loo_penultimate_accumulate_cuda(int dtype, const void* a, int64_t stride_n,
                                                       int64_t stride_u, int64_t stride_s, int64_t n,
                                                       int64_t u, int64_t s, const int64_t* labels, int64_t k,
                                                       int signed_difference, double* class_sums,
                                                       int64_t* class_counts, int64_t* bad_label,
                                                       void* workspace, void* stream);

/* igd_loo_penultimate_finish on the device. Counts are not checked; a class without images gets 0. */
IGD_API igd_status igd_loo_penultimate_finish_cuda(int dtype, const void* weight, int64_t k, int64_t u,
                                                   const double* class_sums, const int64_t* class_counts,
                                                   int signed_difference, int normalization,
                                                   double* importance, void* stream);

/* Bytes of workspace for igd_masked_head_forward_cuda; -1 if the sizes are invalid. */
IGD_API int64_t igd_masked_head_forward_workspace_cuda(int dtype, int64_t n, int64_t u, int64_t k);

/* igd_masked_head_forward on the device. */
IGD_API igd_status igd_masked_head_forward_cuda(
    int dtype, const void* a, int64_t stride_n, int64_t stride_u, int64_t stride_s, int64_t n, int64_t u,
    int64_t s, const void* weight, const void* bias, int64_t k, const uint8_t* masks, double temperature,
    const void* first_logits_in, void* pooled_out, void* first_logits_out, void* soft_weights_out,
    void* soft_mask_out, void* logits_out, void* workspace, void* stream);

/* Bytes of workspace for igd_masked_head_backward_cuda; -1 if the sizes are invalid. */
IGD_API int64_t igd_masked_head_backward_workspace_cuda(int dtype, int64_t n, int64_t u, int64_t k);

/* igd_masked_head_backward on the device. */
IGD_API igd_status igd_masked_head_backward_cuda(int dtype, const void* grad_logits, const void* pooled,
                                                 const void* soft_weights, const void* soft_mask,
                                                 const void* weight, const uint8_t* masks, double temperature,
                                                 int64_t n, int64_t u, int64_t s, int64_t k,
                                                 int own_first_logits, void* grad_a, int64_t stride_n,
                                                 int64_t stride_u, int64_t stride_s, void* grad_first_logits,
                                                 void* workspace, void* stream);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IGD_KERNELS_CUDA_H_ */
