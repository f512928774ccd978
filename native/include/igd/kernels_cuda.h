/*
 * igdefense native kernels on CUDA: the functions of igd/kernels.h with the suffix _cuda, in
 * libigd_kernels_cuda. Compiled for every supported architecture and run under an emulation of CUDA on the CPU;
 * not yet run on a GPU by its authors.
 *
 * As in igd/kernels.h, except:
 * - Every array is device memory of the current device, workspaces too; only the arguments are checked, never
 *   what lies in device memory.
 * - `dtype` is any igd_dtype. `void*` arrays have that type unless the function says "accumulator": these are
 *   float32 for bfloat16 and float16, else of `dtype`. Sums are kept in the accumulator's type or float64.
 * - `stream` is a cudaStream_t (NULL: the default stream). Calls return after the launch; results are there
 *   when the stream has run. A fault while running shows in a later CUDA call. Every call can be captured into a
 *   CUDA graph: nothing is allocated, nothing waits, and the grid depends on the arguments only.
 * - Errors of the CUDA runtime are IGD_UNSUPPORTED, with its words in igd_last_error_cuda().
 * - `workspace` is scratch memory of the size that the matching *_workspace_cuda function returns, aligned to
 *   16 bytes; it must not be shared by calls that may run at the same time.
 * - Results are deterministic (no floating-point atomics), but sums run in another order than on the CPU.
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

/*
 * igd_loo_penultimate_accumulate on the device (labels [N], class_sums [K,U], class_counts [K] too). a of any
 * dtype.
 * bad_label  [1] int64, device, in/out: zero it before the first batch. A label out of range sets it to 1 +
 *            the index of the first such label of its batch; while it is not 0, calls add nothing.
 * 2 launches.
 */
IGD_API igd_status igd_loo_penultimate_accumulate_cuda(int dtype, const void* a, int64_t stride_n,
                                                       int64_t stride_u, int64_t stride_s, int64_t n,
                                                       int64_t u, int64_t s, const int64_t* labels, int64_t k,
                                                       int signed_difference, double* class_sums,
                                                       int64_t* class_counts, int64_t* bad_label,
                                                       void* stream);

/* igd_loo_penultimate_finish on the device. Counts are not checked; a class without images gets 0. 1 launch. */
IGD_API igd_status igd_loo_penultimate_finish_cuda(int dtype, const void* weight, int64_t k, int64_t u,
                                                   const double* class_sums, const int64_t* class_counts,
                                                   int signed_difference, int normalization,
                                                   double* importance, void* stream);

/*
 * igd_loo_ablate_convolution on the device (units [P] and images [P], too). weight: accumulator. A pair whose
 * unit or image is out of range gets NaN everywhere. 1 launch.
 */
IGD_API igd_status igd_loo_ablate_convolution_cuda(int dtype, const void* base, int64_t n, int64_t oh,
                                                   int64_t ow, int64_t o, const void* input, int64_t h,
                                                   int64_t w, int64_t u, const void* removed,
                                                   const void* weight, int64_t kernel, int64_t stride,
                                                   int64_t padding, int64_t groups, int relu,
                                                   const int64_t* units, const int64_t* images, int64_t pairs,
                                                   void* out, void* stream);

/* igd_loo_ablate_identity on the device; pairs out of range as above. 1 launch. */
IGD_API igd_status igd_loo_ablate_identity_cuda(int dtype, const void* a, int64_t n, int64_t s, int64_t u,
                                                const int64_t* units, const int64_t* images, int64_t pairs,
                                                void* out, void* stream);

/*
 * igd_loo_differences on the device. A difference that is not finite is written as it is (the CPU refuses it), a
 * pair whose image or label is out of range gets NaN. 1 launch.
 */
IGD_API igd_status igd_loo_differences_cuda(int dtype, const void* logits, int64_t k, const void* base,
                                            const int64_t* labels, int64_t n, const int64_t* images,
                                            int64_t pairs, int signed_difference, double* out, void* stream);

/*
 * igd_masked_head_forward on the device. first_logits_in and all outputs: accumulator. U + 2*K at most 12,000
 * (float64: 6,000), IGD_UNSUPPORTED above. 1 launch.
 */
IGD_API igd_status igd_masked_head_forward_cuda(
    int dtype, const void* a, int64_t stride_n, int64_t stride_u, int64_t stride_s, int64_t n, int64_t u,
    int64_t s, const void* weight, const void* bias, int64_t k, const uint8_t* masks, double temperature,
    const void* first_logits_in, void* pooled_out, void* first_logits_out, void* soft_weights_out,
    void* soft_mask_out, void* logits_out, void* stream);

/*
 * igd_masked_head_backward on the device. weight and grad_a are of `dtype`, all other arrays: accumulator.
 * U + 2*K at most 12,000 (float64: 6,000), IGD_UNSUPPORTED above. 1 launch.
 */
IGD_API igd_status igd_masked_head_backward_cuda(int dtype, const void* grad_logits, const void* pooled,
                                                 const void* soft_weights, const void* soft_mask,
                                                 const void* weight, const uint8_t* masks, double temperature,
                                                 int64_t n, int64_t u, int64_t s, int64_t k,
                                                 int own_first_logits, void* grad_a, int64_t stride_n,
                                                 int64_t stride_u, int64_t stride_s, void* grad_first_logits,
                                                 void* stream);

/* igd_masked_activation_forward on the device. mask: accumulator. out may be x or residual. 1 launch. */
IGD_API igd_status igd_masked_activation_forward_cuda(int dtype, const void* x, const void* residual,
                                                      const void* mask, int64_t n, int64_t c, int64_t s,
                                                      int channels_last, int relu, void* out, void* stream);

/*
 * igd_masked_activation_backward on the device. mask and grad_mask: accumulator. grad_in may be grad_out.
 * 1 launch.
 */
IGD_API igd_status igd_masked_activation_backward_cuda(int dtype, const void* grad_out, const void* x,
                                                       const void* residual, const void* mask, int64_t n,
                                                       int64_t c, int64_t s, int channels_last, int relu,
                                                       void* grad_in, void* grad_mask, void* stream);

/* Bytes of workspace for igd_cdir_score_cuda; -1 if the sizes are invalid. */
IGD_API int64_t igd_cdir_score_workspace_cuda(int dtype, int64_t n);

/*
 * igd_cdir_score on the device (labels, indices and rank_weight [top], too). A value of p that is not finite
 * makes the scores of the units that have its image NaN (all scores, if lambda is not 0); so does an index out of
 * range. Rank weights below the allowed range are the caller's fault, and the scores meaningless.
 * workspace  largest value and softmax factor of every image, [N] each
 * 2 launches, 3 where lambda is not 0.
 */
IGD_API igd_status igd_cdir_score_cuda(int dtype, const void* p, int64_t n, int64_t k, double scale,
                                       const int64_t* labels, const int32_t* indices, int64_t u, int64_t top,
                                       const double* rank_weight, double min_prob, double lambda,
                                       double* scores, void* workspace, void* stream);

/*
 * One step of Auto-PGD in the L-infinity ball (Croce and Hein 2020, algorithm 1), elementwise:
 *   lower = clamp(x - epsilon, 0, 1);  upper = clamp(x + epsilon, 0, 1)
 *   z = clamp(point + step_size[n]*sign(gradient), lower, upper)
 *   next = clamp(point + momentum*(z - point) + (1 - momentum)*(point - previous), lower, upper)
 * x, point, previous, gradient, next  [N,D], dense; next may be previous
 * step_size  [N], accumulator
 * momentum   0 to 1 (1 in the first iteration, then 0.75)
 * 1 launch, in place of 11 by libtorch; reads 4, writes 1 element per value.
 */
IGD_API igd_status igd_apgd_step_linf_cuda(int dtype, const void* x, const void* point, const void* previous,
                                           const void* gradient, const void* step_size, int64_t n, int64_t d,
                                           double epsilon, double momentum, void* next, void* stream);

/*
 * The same in the L2 ball, norms over each image's D values, project(v) = clamp(x + (v - x) *
 * min(|v - x|, epsilon)/(|v - x| + 1e-12), 0, 1):
 *   z = project(point + step_size[n]*gradient/(|gradient| + 1e-12))
 *   next = project(point + momentum*(z - point) + (1 - momentum)*(point - previous))
 * next must not be one of the inputs. 1 launch, in place of about 40 by libtorch.
 */
IGD_API igd_status igd_apgd_step_l2_cuda(int dtype, const void* x, const void* point, const void* previous,
                                         const void* gradient, const void* step_size, int64_t n, int64_t d,
                                         double epsilon, double momentum, void* next, void* stream);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IGD_KERNELS_CUDA_H_ */
