// Wrappers around igd/kernels_cuda.h and igd/graph_cuda.h with addresses as 64-bit integers (0 = NULL), as in
// igd_jni.h, and the few calls into libtorch's CUDA build that its presets lack. The libraries are opened at run
// time; before igd_jni_cuda_open has returned 0, no other function here may be called but those named _torch_.
#ifndef IGD_JNI_CUDA_H_
#define IGD_JNI_CUDA_H_

#include <stdint.h>

#include "igd_cuda_table.h"

// Opens libigd_kernels_cuda by its path. Status; the reason in igd_jni_cuda_message().
static inline int igd_jni_cuda_open(const char* path) noexcept { return igd_jni::open_cuda(path); }

// Why the last igd_jni_cuda_open or _torch_ call of this thread failed.
static inline const char* igd_jni_cuda_message() noexcept { return igd_jni::message(); }

// Why the last kernel of this thread failed.
static inline const char* igd_jni_cuda_last_error() noexcept { return igd_jni::cuda().igd_last_error_cuda(); }

static inline const char* igd_jni_cuda_build_info() noexcept { return igd_jni::cuda().igd_build_info_cuda(); }

static inline int igd_jni_cuda_device_count() noexcept { return igd_jni::cuda().igd_device_count_cuda(); }

static inline int igd_jni_cuda_device_select(int device) noexcept {
  return (int)igd_jni::cuda().igd_device_select_cuda(device);
}

static inline const char* igd_jni_cuda_device_name(int device) noexcept {
  return igd_jni::cuda().igd_device_name_cuda(device);
}

static inline int igd_jni_cuda_loo_penultimate_accumulate(int dtype, int64_t a, int64_t stride_n,
                                                          int64_t stride_u, int64_t stride_s, int64_t n,
                                                          int64_t u, int64_t s, int64_t labels, int64_t k,
                                                          int signed_difference, int64_t class_sums,
                                                          int64_t class_counts, int64_t bad_label,
                                                          int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_loo_penultimate_accumulate_cuda(
      dtype, (const void*)(intptr_t)a, stride_n, stride_u, stride_s, n, u, s,
      (const int64_t*)(intptr_t)labels, k, signed_difference, (double*)(intptr_t)class_sums,
      (int64_t*)(intptr_t)class_counts, (int64_t*)(intptr_t)bad_label, (void*)(intptr_t)stream);
}

static inline int igd_jni_cuda_loo_penultimate_finish(int dtype, int64_t weight, int64_t k, int64_t u,
                                                      int64_t class_sums, int64_t class_counts,
                                                      int signed_difference, int normalization,
                                                      int64_t importance, int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_loo_penultimate_finish_cuda(
      dtype, (const void*)(intptr_t)weight, k, u, (const double*)(intptr_t)class_sums,
      (const int64_t*)(intptr_t)class_counts, signed_difference, normalization, (double*)(intptr_t)importance,
      (void*)(intptr_t)stream);
}

static inline int igd_jni_cuda_loo_ablate_convolution(int dtype, int64_t base, int64_t n, int64_t oh,
                                                      int64_t ow, int64_t o, int64_t input, int64_t h,
                                                      int64_t w, int64_t u, int64_t removed, int64_t weight,
                                                      int64_t kernel, int64_t stride, int64_t padding,
                                                      int64_t groups, int relu, int64_t units, int64_t images,
                                                      int64_t pairs, int64_t out, int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_loo_ablate_convolution_cuda(
      dtype, (const void*)(intptr_t)base, n, oh, ow, o, (const void*)(intptr_t)input, h, w, u,
      (const void*)(intptr_t)removed, (const void*)(intptr_t)weight, kernel, stride, padding, groups, relu,
      (const int64_t*)(intptr_t)units, (const int64_t*)(intptr_t)images, pairs, (void*)(intptr_t)out,
      (void*)(intptr_t)stream);
}

static inline int igd_jni_cuda_loo_ablate_identity(int dtype, int64_t a, int64_t n, int64_t s, int64_t u,
                                                   int64_t units, int64_t images, int64_t pairs, int64_t out,
                                                   int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_loo_ablate_identity_cuda(
      dtype, (const void*)(intptr_t)a, n, s, u, (const int64_t*)(intptr_t)units,
      (const int64_t*)(intptr_t)images, pairs, (void*)(intptr_t)out, (void*)(intptr_t)stream);
}

static inline int igd_jni_cuda_loo_differences(int dtype, int64_t logits, int64_t k, int64_t base,
                                               int64_t labels, int64_t n, int64_t images, int64_t pairs,
                                               int signed_difference, int64_t out, int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_loo_differences_cuda(
      dtype, (const void*)(intptr_t)logits, k, (const void*)(intptr_t)base, (const int64_t*)(intptr_t)labels,
      n, (const int64_t*)(intptr_t)images, pairs, signed_difference, (double*)(intptr_t)out,
      (void*)(intptr_t)stream);
}

static inline int igd_jni_cuda_masked_head_forward(int dtype, int64_t a, int64_t stride_n, int64_t stride_u,
                                                   int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                                   int64_t weight, int64_t bias, int64_t k, int64_t masks,
                                                   double temperature, int64_t first_logits_in,
                                                   int64_t pooled_out, int64_t first_logits_out,
                                                   int64_t soft_weights_out, int64_t soft_mask_out,
                                                   int64_t logits_out, int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_masked_head_forward_cuda(
      dtype, (const void*)(intptr_t)a, stride_n, stride_u, stride_s, n, u, s, (const void*)(intptr_t)weight,
      (const void*)(intptr_t)bias, k, (const uint8_t*)(intptr_t)masks, temperature,
      (const void*)(intptr_t)first_logits_in, (void*)(intptr_t)pooled_out, (void*)(intptr_t)first_logits_out,
      (void*)(intptr_t)soft_weights_out, (void*)(intptr_t)soft_mask_out, (void*)(intptr_t)logits_out,
      (void*)(intptr_t)stream);
}

static inline int igd_jni_cuda_masked_head_backward(int dtype, int64_t grad_logits, int64_t pooled,
                                                    int64_t soft_weights, int64_t soft_mask, int64_t weight,
                                                    int64_t masks, double temperature, int64_t n, int64_t u,
                                                    int64_t s, int64_t k, int own_first_logits,
                                                    int64_t grad_a, int64_t stride_n, int64_t stride_u,
                                                    int64_t stride_s, int64_t grad_first_logits,
                                                    int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_masked_head_backward_cuda(
      dtype, (const void*)(intptr_t)grad_logits, (const void*)(intptr_t)pooled,
      (const void*)(intptr_t)soft_weights, (const void*)(intptr_t)soft_mask, (const void*)(intptr_t)weight,
      (const uint8_t*)(intptr_t)masks, temperature, n, u, s, k, own_first_logits, (void*)(intptr_t)grad_a,
      stride_n, stride_u, stride_s, (void*)(intptr_t)grad_first_logits, (void*)(intptr_t)stream);
}

static inline int64_t igd_jni_cuda_cdir_score_workspace(int dtype, int64_t n) noexcept {
  return igd_jni::cuda().igd_cdir_score_workspace_cuda(dtype, n);
}

static inline int igd_jni_cuda_cdir_score(int dtype, int64_t p, int64_t n, int64_t k, double scale,
                                          int64_t labels, int64_t indices, int64_t u, int64_t top,
                                          int64_t rank_weight, double min_prob, double lambda, int64_t scores,
                                          int64_t workspace, int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_cdir_score_cuda(
      dtype, (const void*)(intptr_t)p, n, k, scale, (const int64_t*)(intptr_t)labels,
      (const int32_t*)(intptr_t)indices, u, top, (const double*)(intptr_t)rank_weight, min_prob, lambda,
      (double*)(intptr_t)scores, (void*)(intptr_t)workspace, (void*)(intptr_t)stream);
}

// The address of the new graph in *graph (an int64_t).
static inline int igd_jni_cuda_graph_begin(int64_t stream, int64_t graph) noexcept {
  igd_cuda_graph* made = nullptr;
  const int status = (int)igd_jni::cuda().igd_cuda_graph_begin((void*)(intptr_t)stream, &made);
  *(int64_t*)(intptr_t)graph = (int64_t)(intptr_t)made;
  return status;
}

static inline int igd_jni_cuda_graph_end(int64_t graph) noexcept {
  return (int)igd_jni::cuda().igd_cuda_graph_end((igd_cuda_graph*)(intptr_t)graph);
}

static inline int igd_jni_cuda_graph_launch(int64_t graph, int64_t stream) noexcept {
  return (int)igd_jni::cuda().igd_cuda_graph_launch((igd_cuda_graph*)(intptr_t)graph,
                                                    (void*)(intptr_t)stream);
}

static inline void igd_jni_cuda_graph_free(int64_t graph) noexcept {
  igd_jni::cuda().igd_cuda_graph_free((igd_cuda_graph*)(intptr_t)graph);
}

// Finds what the presets lack in libtorch's CUDA libraries, which must have been loaded from these paths.
static inline int igd_jni_torch_open(const char* c10_cuda, const char* torch_cuda) noexcept {
  return igd_jni::open_torch(c10_cuda, torch_cuda);
}

// The cudaStream_t that libtorch computes on in this thread, on a device, in *stream (an int64_t).
static inline int igd_jni_torch_current_stream(int device, int64_t stream) noexcept {
  return igd_jni::guarded("current stream", [&] {
    const igd_jni::TorchTable::Stream current = igd_jni::torch().current_stream((signed char)device);
    *(int64_t*)(intptr_t)stream = (int64_t)(intptr_t)igd_jni::torch().stream_address(&current);
  });
}

// Starts recording on libtorch's current stream, which must not be the default one. Tensors made until
// igd_jni_torch_graph_end live in a pool of memory that belongs to the graph. Its address in *graph (an int64_t).
static inline int igd_jni_torch_graph_begin(int64_t graph) noexcept {
  *(int64_t*)(intptr_t)graph = 0;
  igd_jni::TorchGraph* made = nullptr;
  const int status = igd_jni::guarded("graph capture", [&] {
    made = new igd_jni::TorchGraph;
    made->begin();
  });
  if (status != IGD_OK) {
    igd_jni::guarded("graph", [&] { delete made; });
    return status;
  }
  *(int64_t*)(intptr_t)graph = (int64_t)(intptr_t)made;
  return IGD_OK;
}

static inline int igd_jni_torch_graph_end(int64_t graph) noexcept {
  return igd_jni::guarded("graph capture", [&] { ((igd_jni::TorchGraph*)(intptr_t)graph)->end(); });
}

// Starts the graph on libtorch's current stream.
static inline int igd_jni_torch_graph_replay(int64_t graph) noexcept {
  return igd_jni::guarded("graph replay", [&] { ((igd_jni::TorchGraph*)(intptr_t)graph)->replay(); });
}

static inline void igd_jni_torch_graph_free(int64_t graph) noexcept {
  igd_jni::guarded("graph", [&] { delete (igd_jni::TorchGraph*)(intptr_t)graph; });
}

#endif  // IGD_JNI_CUDA_H_
