// Wrappers around igd/kernels.h in which every array is an address in an int64_t (0 = NULL), so that the
// generated Java methods take long and allocate no Pointer object per call. Semantics, shapes and errors are
// those of the functions of the same name in igd/kernels.h. Statuses are ints (0 = OK).
#ifndef IGD_JNI_H_
#define IGD_JNI_H_

#include <stdint.h>

#include "igd/kernels.h"

static inline const char* igd_jni_last_error() noexcept { return igd_last_error(); }

static inline int igd_jni_api_version() noexcept { return igd_api_version(); }

static inline const char* igd_jni_build_info() noexcept { return igd_build_info(); }

static inline int igd_jni_isa_detected() noexcept { return igd_isa_detected(); }

static inline int igd_jni_isa_active() noexcept { return igd_isa_active(); }

static inline int igd_jni_isa_force(int isa) noexcept { return igd_isa_force(isa); }

static inline const char* igd_jni_isa_name(int isa) noexcept { return igd_isa_name(isa); }

static inline int igd_jni_threads_get() noexcept { return igd_threads_get(); }

static inline int igd_jni_threads_set(int n) noexcept { return (int)igd_threads_set(n); }

static inline int igd_jni_loo_penultimate_accumulate(int dtype, int64_t a, int64_t stride_n, int64_t stride_u,
                                                     int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                                     int64_t labels, int64_t k, int signed_difference,
                                                     int64_t class_sums, int64_t class_counts) noexcept {
  return (int)igd_loo_penultimate_accumulate(dtype, (const void*)(intptr_t)a, stride_n, stride_u, stride_s, n,
                                             u, s, (const int64_t*)(intptr_t)labels, k, signed_difference,
                                             (double*)(intptr_t)class_sums, (int64_t*)(intptr_t)class_counts);
}

static inline int igd_jni_loo_penultimate_finish(int dtype, int64_t weight, int64_t k, int64_t u,
                                                 int64_t class_sums, int64_t class_counts,
                                                 int signed_difference, int normalization,
                                                 int64_t importance) noexcept {
  return (int)igd_loo_penultimate_finish(dtype, (const void*)(intptr_t)weight, k, u,
                                         (const double*)(intptr_t)class_sums,
                                         (const int64_t*)(intptr_t)class_counts, signed_difference,
                                         normalization, (double*)(intptr_t)importance);
}

static inline int igd_jni_loo_ablate_convolution(int dtype, int64_t base, int64_t n, int64_t oh, int64_t ow,
                                                 int64_t o, int64_t input, int64_t h, int64_t w, int64_t u,
                                                 int64_t removed, int64_t weight, int64_t kernel, int64_t stride,
                                                 int64_t padding, int64_t groups, int relu, int64_t units,
                                                 int64_t images, int64_t pairs, int64_t out) noexcept {
  return (int)igd_loo_ablate_convolution(
      dtype, (const void*)(intptr_t)base, n, oh, ow, o, (const void*)(intptr_t)input, h, w, u,
      (const void*)(intptr_t)removed, (const void*)(intptr_t)weight, kernel, stride, padding, groups, relu,
      (const int64_t*)(intptr_t)units, (const int64_t*)(intptr_t)images, pairs, (void*)(intptr_t)out);
}

static inline int igd_jni_loo_ablate_identity(int dtype, int64_t a, int64_t n, int64_t s, int64_t u,
                                              int64_t units, int64_t images, int64_t pairs,
                                              int64_t out) noexcept {
  return (int)igd_loo_ablate_identity(dtype, (const void*)(intptr_t)a, n, s, u,
                                      (const int64_t*)(intptr_t)units, (const int64_t*)(intptr_t)images, pairs,
                                      (void*)(intptr_t)out);
}

static inline int igd_jni_loo_differences(int dtype, int64_t logits, int64_t k, int64_t base, int64_t labels,
                                          int64_t n, int64_t images, int64_t pairs, int signed_difference,
                                          int64_t out) noexcept {
  return (int)igd_loo_differences(dtype, (const void*)(intptr_t)logits, k, (const void*)(intptr_t)base,
                                  (const int64_t*)(intptr_t)labels, n, (const int64_t*)(intptr_t)images, pairs,
                                  signed_difference, (double*)(intptr_t)out);
}

static inline int igd_jni_masked_head_forward(int dtype, int64_t a, int64_t stride_n, int64_t stride_u,
                                              int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                              int64_t weight, int64_t bias, int64_t k, int64_t masks,
                                              double temperature, int64_t first_logits_in, int64_t pooled_out,
                                              int64_t first_logits_out, int64_t soft_weights_out,
                                              int64_t soft_mask_out, int64_t logits_out) noexcept {
  return (int)igd_masked_head_forward(
      dtype, (const void*)(intptr_t)a, stride_n, stride_u, stride_s, n, u, s, (const void*)(intptr_t)weight,
      (const void*)(intptr_t)bias, k, (const uint8_t*)(intptr_t)masks, temperature,
      (const void*)(intptr_t)first_logits_in, (void*)(intptr_t)pooled_out, (void*)(intptr_t)first_logits_out,
      (void*)(intptr_t)soft_weights_out, (void*)(intptr_t)soft_mask_out, (void*)(intptr_t)logits_out);
}

static inline int igd_jni_masked_head_backward(int dtype, int64_t grad_logits, int64_t pooled,
                                               int64_t soft_weights, int64_t soft_mask, int64_t weight,
                                               int64_t masks, double temperature, int64_t n, int64_t u,
                                               int64_t s, int64_t k, int own_first_logits, int64_t grad_a,
                                               int64_t stride_n, int64_t stride_u, int64_t stride_s,
                                               int64_t grad_first_logits) noexcept {
  return (int)igd_masked_head_backward(
      dtype, (const void*)(intptr_t)grad_logits, (const void*)(intptr_t)pooled,
      (const void*)(intptr_t)soft_weights, (const void*)(intptr_t)soft_mask, (const void*)(intptr_t)weight,
      (const uint8_t*)(intptr_t)masks, temperature, n, u, s, k, own_first_logits, (void*)(intptr_t)grad_a,
      stride_n, stride_u, stride_s, (void*)(intptr_t)grad_first_logits);
}

static inline int igd_jni_net_accelerated() noexcept { return igd_net_accelerated(); }

// The address of the new network in *net (an int64_t).
static inline int igd_jni_net_create(int products, int64_t channels, int64_t height, int64_t width,
                                     int64_t scale, int64_t shift, int64_t net) noexcept {
  igd_net* made = nullptr;
  const int status = (int)igd_net_create(products, channels, height, width, (const float*)(intptr_t)scale,
                                         (const float*)(intptr_t)shift, &made);
  *(int64_t*)(intptr_t)net = (int64_t)(intptr_t)made;
  return status;
}

static inline void igd_jni_net_free(int64_t net) noexcept { igd_net_free((igd_net*)(intptr_t)net); }

// These three give the number of the new value, or minus the status.
static inline int igd_jni_net_conv(int64_t net, int input, int64_t out_channels, int64_t kernel, int64_t stride,
                                   int64_t padding, int64_t weight, int64_t bias, int residual,
                                   int relu) noexcept {
  int value = 0;
  const int status =
      (int)igd_net_conv((igd_net*)(intptr_t)net, input, out_channels, kernel, stride, padding,
                        (const float*)(intptr_t)weight, (const float*)(intptr_t)bias, residual, relu, &value);
  return status == 0 ? value : -status;
}

static inline int igd_jni_net_affine(int64_t net, int input, int64_t scale, int64_t shift, int relu) noexcept {
  int value = 0;
  const int status = (int)igd_net_affine((igd_net*)(intptr_t)net, input, (const float*)(intptr_t)scale,
                                         (const float*)(intptr_t)shift, relu, &value);
  return status == 0 ? value : -status;
}

static inline int igd_jni_net_max_pool(int64_t net, int input, int64_t kernel, int64_t stride,
                                       int64_t padding) noexcept {
  int value = 0;
  const int status = (int)igd_net_max_pool((igd_net*)(intptr_t)net, input, kernel, stride, padding, &value);
  return status == 0 ? value : -status;
}

static inline int igd_jni_net_seal(int64_t net) noexcept { return (int)igd_net_seal((igd_net*)(intptr_t)net); }

// tape: 0, or where the address of the tape goes (an int64_t).
static inline int igd_jni_net_forward(int64_t net, int from, int to, int64_t n, int64_t x, int64_t stride_n,
                                      int64_t stride_c, int64_t stride_h, int64_t stride_w, int64_t y,
                                      int64_t tape) noexcept {
  igd_tape* made = nullptr;
  const int status =
      (int)igd_net_forward((igd_net*)(intptr_t)net, from, to, n, (const float*)(intptr_t)x, stride_n, stride_c,
                           stride_h, stride_w, (float*)(intptr_t)y, tape == 0 ? nullptr : &made);
  if (tape != 0) *(int64_t*)(intptr_t)tape = (int64_t)(intptr_t)made;
  return status;
}

static inline int igd_jni_net_forward_coarse(int64_t net, int64_t coarse_net, int from, int to, int64_t n,
                                             int64_t coarse, int64_t x, int64_t stride_n, int64_t stride_c,
                                             int64_t stride_h, int64_t stride_w, int64_t y) noexcept {
  return (int)igd_net_forward_coarse((igd_net*)(intptr_t)net, (igd_net*)(intptr_t)coarse_net, from, to, n, coarse,
                                     (const float*)(intptr_t)x, stride_n, stride_c, stride_h, stride_w,
                                     (float*)(intptr_t)y);
}

static inline int igd_jni_net_forward_joined(int64_t net, int from, int also, int to, int64_t n, int64_t x,
                                             int64_t stride_n, int64_t stride_c, int64_t stride_h,
                                             int64_t stride_w, int64_t x2, int64_t stride2_n,
                                             int64_t stride2_c, int64_t stride2_h, int64_t stride2_w,
                                             int64_t y) noexcept {
  return (int)igd_net_forward_joined((igd_net*)(intptr_t)net, from, also, to, n, (const float*)(intptr_t)x,
                                     stride_n, stride_c, stride_h, stride_w, (const float*)(intptr_t)x2,
                                     stride2_n, stride2_c, stride2_h, stride2_w, (float*)(intptr_t)y);
}

static inline int igd_jni_net_backward(int64_t tape, int64_t grad_y, int64_t grad_x, int64_t stride_n,
                                       int64_t stride_c, int64_t stride_h, int64_t stride_w) noexcept {
  return (int)igd_net_backward((const igd_tape*)(intptr_t)tape, (const float*)(intptr_t)grad_y,
                               (float*)(intptr_t)grad_x, stride_n, stride_c, stride_h, stride_w);
}

static inline void igd_jni_tape_free(int64_t tape) noexcept { igd_tape_free((igd_tape*)(intptr_t)tape); }

static inline int igd_jni_image_noise(int64_t x, int64_t n, int64_t p, int64_t samples, int64_t seed,
                                      int64_t noise) noexcept {
  return (int)igd_image_noise((const float*)(intptr_t)x, n, p, samples, (uint64_t)seed, (float*)(intptr_t)noise);
}

// The address of the new classifier in *defended (an int64_t). noisy_net: 0 for the same network.
static inline int igd_jni_defended_create(int64_t net, int64_t noisy_net, int layer, int last, int64_t weight,
                                          int64_t bias, int64_t k, int64_t masks, double temperature,
                                          double sigma, int64_t samples, int64_t seed,
                                          int64_t defended) noexcept {
  igd_defended* made = nullptr;
  const int status =
      (int)igd_defended_create((igd_net*)(intptr_t)net, (igd_net*)(intptr_t)noisy_net, layer, last,
                               (const float*)(intptr_t)weight, (const float*)(intptr_t)bias, k,
                               (const uint8_t*)(intptr_t)masks, temperature, sigma, samples, (uint64_t)seed,
                               &made);
  *(int64_t*)(intptr_t)defended = (int64_t)(intptr_t)made;
  return status;
}

static inline void igd_jni_defended_free(int64_t defended) noexcept {
  igd_defended_free((igd_defended*)(intptr_t)defended);
}

static inline int64_t igd_jni_defended_workspace(int64_t defended, int64_t n) noexcept {
  return igd_defended_workspace((const igd_defended*)(intptr_t)defended, n);
}

static inline int igd_jni_defended_forward(int64_t defended, int64_t n, int64_t x, int64_t workspace,
                                           int64_t logits, int64_t first_logits,
                                           int64_t pseudo_labels) noexcept {
  return (int)igd_defended_forward((const igd_defended*)(intptr_t)defended, n, (const float*)(intptr_t)x,
                                   (void*)(intptr_t)workspace, (float*)(intptr_t)logits,
                                   (float*)(intptr_t)first_logits, (int32_t*)(intptr_t)pseudo_labels);
}

static inline int igd_jni_top_images(int dtype, int64_t q, int64_t n, int64_t u, int64_t top,
                                     int64_t indices) noexcept {
  return (int)igd_top_images(dtype, (const void*)(intptr_t)q, n, u, top, (int32_t*)(intptr_t)indices);
}

static inline int igd_jni_cdir_score(int dtype, int64_t p, int64_t n, int64_t k, double scale, int64_t labels,
                                     int64_t indices, int64_t u, int64_t top, int64_t rank_weight,
                                     double min_prob, double lambda, int64_t scores) noexcept {
  return (int)igd_cdir_score(dtype, (const void*)(intptr_t)p, n, k, scale, (const int64_t*)(intptr_t)labels,
                             (const int32_t*)(intptr_t)indices, u, top, (const double*)(intptr_t)rank_weight,
                             min_prob, lambda, (double*)(intptr_t)scores);
}

static inline int igd_jni_measure_peak(int unit, double seconds, int64_t rate) noexcept {
  return (int)igd_measure_peak(unit, seconds, (double*)(intptr_t)rate);
}

#endif  // IGD_JNI_H_
