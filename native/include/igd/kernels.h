/*
 * igdefense native kernels: plain C API over raw pointers, sizes and strides.
 *
 * Conventions that hold for every function below
 * - Symbols: N images, U units (channels) of the masked layer, S = H*W positions per unit, K classes (or
 *   concepts).
 * - `dtype` is an igd_dtype; every `void*` array has that element type, other arrays the type written.
 * - An activation tensor a[N,U,S] is a pointer and three strides counted in elements: element (n,u,s) lies
 *   at a[n*stride_n + u*stride_u + s*stride_s]. NCHW is (U*S, S, 1), channels-last (U*S, 1, U), pooled
 *   (U, 1, 1) with S=1. Those run on contiguous fast paths; any other strides >= 1 go through a generic path.
 *   A stride along an axis of size 1 is not used, but must be >= 1 all the same.
 * - All other arrays are dense and row-major, with the shape that is written.
 * - Memory belongs to the caller, nothing is kept after the call. Outputs must not overlap anything else.
 * - Errors: a status other than IGD_OK; igd_last_error() then says what was expected, what came and what to
 *   do. After an error no output has been touched.
 * - Threads: every function may be called from several threads at once on different outputs. Kernels use up
 *   to igd_threads_get() OpenMP threads, and one when the work is too small to pay for a fork.
 * - Values do not depend on the number of threads, nor an image's on the other images of its batch.
 * - NaN and infinity follow IEEE arithmetic: a NaN that enters a sum leaves it as a NaN.
 */
#ifndef IGD_KERNELS_H_
#define IGD_KERNELS_H_

#include <stdint.h>

#if defined(_WIN32)
#define IGD_API
#else
#define IGD_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this API; grows with every incompatible change. */
#define IGD_API_VERSION 1

typedef enum igd_status {
  IGD_OK = 0,
  IGD_INVALID_ARGUMENT = 1, /* the caller's arguments: null, unaligned, out of range, overflowing sizes */
  IGD_UNSUPPORTED = 2,      /* a valid request that this build or machine cannot serve */
  IGD_OUT_OF_MEMORY = 3     /* scratch memory could not be had */
} igd_status;

/* bfloat16 (the upper half of a float32) is taken only where a function says so, float16 by the CUDA functions. */
typedef enum igd_dtype { IGD_FLOAT32 = 0, IGD_FLOAT64 = 1, IGD_BFLOAT16 = 2, IGD_FLOAT16 = 3 } igd_dtype;

/* Instruction sets that the kernels are compiled for; a higher number includes the lower ones. */
typedef enum igd_isa {
  IGD_ISA_PORTABLE = 0, /* x86-64-v2 baseline (plain C++ elsewhere) */
  IGD_ISA_AVX2 = 1,     /* x86-64-v3: AVX2 and FMA */
  IGD_ISA_AVX512 = 2    /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL */
} igd_isa;

/* Message of the last call of this thread that did not return IGD_OK ("" if none failed yet).
 * Owned by the library; valid until the next failing call of the same thread. */
IGD_API const char* igd_last_error(void);

/* IGD_API_VERSION of the library that is loaded (compare with that of the header). */
IGD_API int igd_api_version(void);

/* One line about the build: version, compiler, OpenMP, instruction sets, sanitizer. Static storage. */
IGD_API const char* igd_build_info(void);

/* Best igd_isa of this machine among those compiled in. */
IGD_API int igd_isa_detected(void);

/* The igd_isa whose kernels run now: the detected one, or what igd_isa_force or the environment variable
 * IGD_ISA=portable|avx2|avx512 (read once, can only lower it) asked for. */
IGD_API int igd_isa_active(void);

/* Makes `isa` the active one, for all threads, from the next kernel call on.
 * Returns an igd_status: IGD_INVALID_ARGUMENT for an unknown number, IGD_UNSUPPORTED above the detected. */
IGD_API int igd_isa_force(int isa);

/* "portable", "avx2", "avx512", or "unknown". Static storage. */
IGD_API const char* igd_isa_name(int isa);

/* Largest number of threads that the kernels use. At start: OpenMP's choice (OMP_NUM_THREADS, processors). */
IGD_API int igd_threads_get(void);

/* Sets that number, 1 <= n <= 1024, for these kernels only (OpenMP's own settings stay untouched). */
IGD_API igd_status igd_threads_set(int n);

/*
 * Leave-one-out at the penultimate layer, step 1. Zeroing unit u changes logit c by -W[c,u]*p[u], so that one
 * pass over the activations, pooled (mean over S) and added per class, is all that the ranking needs.
 *   class_sums[labels[n], u] += |p[n,u]|  (p[n,u] if signed_difference),  p[n,u] = mean_s a[n,u,s]
 *   class_counts[labels[n]] += 1
 * a            [N,U,S] float32|float64, strided
 * labels       [N], 0 <= label < K (checked first; a bad one refuses the whole batch)
 * class_sums   [K,U] float64, in/out; zero it before the first batch
 * class_counts [K], in/out; zero it before the first batch
 * Sums are kept in float64 and their order is fixed: bitwise equal for any number of threads. Batches can be
 * streamed through in any number of calls.
 * Cost: reads a once, N*U*S additions.
 */
IGD_API igd_status igd_loo_penultimate_accumulate(int dtype, const void* a, int64_t stride_n,
                                                  int64_t stride_u, int64_t stride_s, int64_t n, int64_t u,
                                                  int64_t s, const int64_t* labels, int64_t k,
                                                  int signed_difference, double* class_sums,
                                                  int64_t* class_counts);

/*
 * Leave-one-out at the penultimate layer, step 2: importance from the sums of step 1.
 *   importance[u,c] = |W[c,u]| * class_sums[c,u] * r[c];  signed: -W[c,u] * class_sums[c,u] * r[c]
 *   (signed: f_c without the unit minus f_c with it)
 *   normalization 0, class mean: r[c] = 1/class_counts[c], and importance[:,c] = 0 for a class without images
 *   normalization 1, reference:  r[c] = K / sum of all class_counts (importance 0 if that sum is 0)
 * weight       [K,U] float32|float64, the classifier's weight
 * class_sums   [K,U], class_counts [K] (>= 0)
 * importance   [U,K] float64, higher = more important
 */
IGD_API igd_status igd_loo_penultimate_finish(int dtype, const void* weight, int64_t k, int64_t u,
                                              const double* class_sums, const int64_t* class_counts,
                                              int signed_difference, int normalization, double* importance);

/*
 * Leave-one-out inside the network, step 1: the first convolution behind the layer, for a block of pairs
 * (unit left out, image), from its result with all units. A convolution is linear in its input's channels:
 *   out[p] = f(base[n] + conv_u(removed[u] - input[n,:,:,u])),  u = units[p], n = images[p]
 * conv_u: the convolution of channel u alone, into the output channels of its group; the others are f(base[n]).
 * f: ReLU if relu is not zero (NaN stays), else the identity. Works for a shortcut's convolution, too.
 * dtype    float32, float64 or bfloat16 (sums and weight in float32, one rounding at the end)
 * base     [N,OH,OW,O] channels-last: the convolution of input plus bias
 * input    [N,H,W,U] channels-last
 * removed  [U] or NULL (zeros): the value that channel u of input has everywhere once the unit is left out
 * weight   [U,kernel*kernel,O/groups]: weight[u,t,o] = w[g*O/groups + o, u mod U/groups, t], g = u / (U/groups)
 * kernel   1 to 7; stride >= 1; 0 <= padding < kernel; groups divides U and O; OH, OW as these give them
 * units    [P], images [P]
 * out      [P,OH,OW,O] channels-last
 * A pair's values depend on nothing but its unit and image: neither on the block nor on the threads.
 * Cost: reads base of each pair's image, writes out once; at most P*OH*OW*O/groups*kernel^2 FMA.
 */
IGD_API igd_status igd_loo_ablate_convolution(int dtype, const void* base, int64_t n, int64_t oh, int64_t ow,
                                              int64_t o, const void* input, int64_t h, int64_t w, int64_t u,
                                              const void* removed, const void* weight, int64_t kernel,
                                              int64_t stride, int64_t padding, int64_t groups, int relu,
                                              const int64_t* units, const int64_t* images, int64_t pairs,
                                              void* out);

/*
 * Leave-one-out inside the network, step 1 of an identity shortcut: out[p] = a[n] with channel u zeroed.
 * dtype    float32, float64 or bfloat16
 * a        [N,S,U] channels-last
 * units    [P], images [P]
 * out      [P,S,U]
 * Cost: reads and writes P*S*U elements.
 */
IGD_API igd_status igd_loo_ablate_identity(int dtype, const void* a, int64_t n, int64_t s, int64_t u,
                                           const int64_t* units, const int64_t* images, int64_t pairs,
                                           void* out);

/*
 * Leave-one-out inside the network, step 2: what the missing unit did to the logit of the true class.
 *   out[p] = |logits[p,c] - base[n,c]|, or without the absolute value if signed_difference is not zero,
 *   n = images[p], c = labels[n]; differences in float64
 * logits   [P,K], of the pairs
 * base     [N,K], of the images with all units
 * labels   [N], 0 <= label < K
 * images   [P]
 * out      [P] float64
 * A difference that is not finite is refused with its pair and image.
 * Cost: reads two logits per pair.
 */
IGD_API igd_status igd_loo_differences(int dtype, const void* logits, int64_t k, const void* base,
                                       const int64_t* labels, int64_t n, const int64_t* images,
                                       int64_t pairs, int signed_difference, double* out);

/*
 * Masked head, forward (Kulkarni and Weng, ECCV 2024): from the activations of the masked penultimate layer
 * to the logits of the defended model (. is the elementwise product).
 *   p = mean_s a;  z = first_logits_in, or p*W^T + b;  y = softmax(z/temperature);  m = y*M;
 *   logits = (m.p)*W^T + b
 * a                [N,U,S] strided
 * weight           [K,U]
 * bias             [K] or NULL (zero)
 * masks            [K,U], 0 or 1 (any other value counts as 1)
 * temperature      finite, > 0
 * first_logits_in  [N,K] or NULL (then z comes from the same activations)
 * pooled_out       [N,U], the pooled activations p (the backward needs them)
 * first_logits_out [N,K] or NULL: z
 * soft_weights_out [N,K] or NULL: y (the backward needs them)
 * soft_mask_out    [N,U] or NULL: m (the backward can use it)
 * logits_out       [N,K]
 * Soft weights below 1e-30 (float64: 1e-290) of the largest are 0, and their classes' masks are not read.
 * A NaN or +infinity in z of an image makes its soft weights, mask and logits NaN.
 * Arithmetic in dtype, several partial sums. Cost: reads a once, about N*K*U*4 FLOP.
 */
IGD_API igd_status igd_masked_head_forward(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                           int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                           const void* weight, const void* bias, int64_t k,
                                           const uint8_t* masks, double temperature,
                                           const void* first_logits_in, void* pooled_out,
                                           void* first_logits_out, void* soft_weights_out,
                                           void* soft_mask_out, void* logits_out);

/*
 * Masked head, backward: gradient with respect to the activations (and to z, if z came from elsewhere).
 *   dq = g*W;  dp = m.dq;  dm = p.dq;  dy = dm*M^T;  dz = y.(dy - sum_k y.dy)/temperature;
 *   own_first_logits: dp += dz*W;  grad_a[n,u,s] = dp[n,u]/S
 * grad_logits       [N,K], g: gradient with respect to the logits
 * pooled            [N,U], p, and soft_weights [N,K], y: as the forward wrote them
 * soft_mask         [N,U], m as the forward wrote it, or NULL (recomputed from y and M)
 * weight [K,U], masks [K,U], temperature: as given to the forward
 * own_first_logits  nonzero if the forward had first_logits_in == NULL, zero if z was given
 * grad_a            [N,U,S] strided, every element is written; strides must give every element its own place
 *                   (axes sorted by stride: each stride >= stride*size of the one before it)
 * grad_first_logits [N,K], dz; required if own_first_logits is zero, else may be NULL
 * Cost: writes grad_a once, about N*K*U*4 FLOP (6 with own_first_logits).
 */
IGD_API igd_status igd_masked_head_backward(int dtype, const void* grad_logits, const void* pooled,
                                            const void* soft_weights, const void* soft_mask,
                                            const void* weight, const uint8_t* masks, double temperature,
                                            int64_t n, int64_t u, int64_t s, int64_t k, int own_first_logits,
                                            void* grad_a, int64_t stride_n, int64_t stride_u,
                                            int64_t stride_s, void* grad_first_logits);

/*
 * Masked activation, forward: residual sum, ReLU and the mask of each image's channels in one pass.
 *   out[n,c,s] = f(x[n,c,s] + residual[n,c,s]) * mask[n,c],  f: ReLU if relu is not zero (NaN stays), else the
 *   identity
 * dtype     float32, float64 or bfloat16 (computed in float32, one rounding at the end)
 * x         [N,C,S] dense: channels-first, or [N,S,C] if channels_last is not zero
 * residual  as x, or NULL (none)
 * mask      [N,C] float64 if dtype is, else float32, 0 or above; or NULL (ones)
 * out       as x; may be x or residual
 * Cost: reads x and residual once, writes out once.
 */
IGD_API igd_status igd_masked_activation_forward(int dtype, const void* x, const void* residual,
                                                 const void* mask, int64_t n, int64_t c, int64_t s,
                                                 int channels_last, int relu, void* out);

/*
 * Masked activation, backward: gradient with respect to x (the same for residual) and, if wanted, to mask.
 *   pre = x + residual;  grad_in = grad_out*mask where pre > 0 (or NaN, or relu is zero), else 0
 *   grad_mask[n,c] = sum_s grad_out*f(pre)
 * x, residual, mask as given to the forward. Without grad_mask, x may be the forward's output and residual NULL
 * (where the mask is above 0, the output has the sign of pre; elsewhere the gradient is 0): one array less to read.
 * grad_in    as x; may be grad_out
 * grad_mask  [N,C] as mask, or NULL
 * Cost: reads grad_out, x and residual once, writes grad_in once.
 */
IGD_API igd_status igd_masked_activation_backward(int dtype, const void* grad_out, const void* x,
                                                  const void* residual, const void* mask, int64_t n,
                                                  int64_t c, int64_t s, int channels_last, int relu,
                                                  void* grad_in, void* grad_mask);

/*
 * Compiled convolutional networks: convolutions with folded batch normalisation, residual sums and ReLUs in one
 * pass each, weights packed once, forward and input gradient. A network is a list of values; value 0 is the
 * input. Build it with igd_net_create, igd_net_conv, ..., igd_net_seal; then run it between any two values.
 *
 * Arithmetic: numbers are split into bfloat16 parts, and the products of parts i and j with i + j < parts are added
 * in float32. `products` 1: one part, bfloat16. 3: two parts, 16 bits of mantissa; about 1e-5 relative through a
 * ResNet-18, more where a network's sums cancel. 6: three parts, all 24 bits: the accuracy of float32.
 * On processors with AMX-BF16 the products run on the tile unit; elsewhere a plain implementation gives the same
 * sums up to their order (correct and slow: ask igd_net_accelerated first).
 * An image's results do not depend on the other images, on the number of images or on the number of threads.
 * Threads: build from one thread; after igd_net_seal any number of threads may call forward and backward. The
 * network keeps working memory for its next calls until igd_net_free: per 16 images in flight, and for 6 images.
 */
typedef struct igd_net igd_net;

/* What a forward pass keeps for its backward pass. Belongs to the caller; free it before its network. */
typedef struct igd_tape igd_tape;

/* 1 if this machine has the instructions that make compiled networks fast (and IGD_ISA allows them). */
IGD_API int igd_net_accelerated(void);

/* A network whose input has [channels, height, width]; the input is multiplied by scale[channels] and shift is
 * added (both NULL: neither), before any zero padding. */
IGD_API igd_status igd_net_create(int products, int64_t channels, int64_t height, int64_t width,
                                  const float* scale, const float* shift, igd_net** net);

/* Frees a network; NULL is ignored. No call may be running and no tape alive. */
IGD_API void igd_net_free(igd_net* net);

/* value = relu?(conv(input) + bias + residual). weight [out_channels, channels, kernel, kernel], bias
 * [out_channels]; residual: a value of the output's shape, or -1. Kernel 1 without padding or 3 with padding 1,
 * stride 1 or 2; on the network's input of fewer than 16 channels any kernel below 16. IGD_UNSUPPORTED else. */
IGD_API igd_status igd_net_conv(igd_net* net, int input, int64_t out_channels, int64_t kernel, int64_t stride,
                                int64_t padding, const float* weight, const float* bias, int residual, int relu,
                                int* value);

/* value = relu?(input * scale[channels] + shift[channels]). */
IGD_API igd_status igd_net_affine(igd_net* net, int input, const float* scale, const float* shift, int relu,
                                  int* value);

/* value = max over kernel x kernel windows; gradients go to the first of equal maxima. */
IGD_API igd_status igd_net_max_pool(igd_net* net, int input, int64_t kernel, int64_t stride, int64_t padding,
                                    int* value);

/* Ends building. */
IGD_API igd_status igd_net_seal(igd_net* net);

/* Computes value `to` from value `from` (0: the input) for n images: x [n,C,H,W] by element strides, y dense
 * [n,H,W,C]. tape: NULL, or where to put what igd_net_backward needs (bytes: all values of all images). */
IGD_API igd_status igd_net_forward(igd_net* net, int from, int to, int64_t n, const float* x, int64_t stride_n,
                                   int64_t stride_c, int64_t stride_h, int64_t stride_w, float* y,
                                   igd_tape** tape);

/* The same from two values at once: `also` is taken from x2, too, instead of being computed (x2 [n,C2,H2,W2] by
 * element strides). For continuing inside a residual block: its hidden value and its residual. */
IGD_API igd_status igd_net_forward_joined(igd_net* net, int from, int also, int to, int64_t n, const float* x,
                                          int64_t stride_n, int64_t stride_c, int64_t stride_h,
                                          int64_t stride_w, const float* x2, int64_t stride2_n,
                                          int64_t stride2_c, int64_t stride2_h, int64_t stride2_w, float* y);

/* As igd_net_forward without a tape, the last `coarse` images (0..n) in the arithmetic of coarse_net: the same layers and
 * shapes with fewer products, or net. Each image gets what its network would give it. A few images of one set of layers (the
 * packed weights of coarse_net being the first parts of net's) share every reading of the weights. */
IGD_API igd_status igd_net_forward_coarse(igd_net* net, igd_net* coarse_net, int from, int to, int64_t n,
                                          int64_t coarse, const float* x, int64_t stride_n, int64_t stride_c,
                                          int64_t stride_h, int64_t stride_w, float* y);

/* The gradient with respect to `from`: grad_y [n,H,W,C] dense, grad_x [n,C,H,W] by element strides, every
 * element written. May be called again with other grad_y. */
IGD_API igd_status igd_net_backward(const igd_tape* tape, const float* grad_y, float* grad_x, int64_t stride_n,
                                    int64_t stride_c, int64_t stride_h, int64_t stride_w);

/* Frees a tape; NULL is ignored. */
IGD_API void igd_tape_free(igd_tape* tape);

/* Channels, height and width of a value, into shape[3]. */
IGD_API igd_status igd_net_shape(const igd_net* net, int value, int64_t* shape);

/*
 * Standard normal noise that belongs to an image: a function of the seed, the image's values and the draw's number
 * alone, so that an image gets the same noise in any batch and thread. Philox 4x32-10 (Salmon et al., SC 2011), key:
 * the seed, counter: position, draw and a 64-bit hash of the image; pairs by Box and Muller.
 * x       [N,P], one image per row; -0 counts as 0
 * samples draws per image
 * noise   [N*samples,P]: row i*samples + s is draw s of image i
 * Cost: about 10 ns per value.
 */
IGD_API igd_status igd_image_noise(const float* x, int64_t n, int64_t p, int64_t samples, uint64_t seed,
                                   float* noise);

/*
 * The defended classifier (Kulkarni and Weng, ECCV 2024, Sec. 4) on a compiled network, in one call: both passes,
 * sharing the prefix where there is no smoothing; the soft class weights; the masked second pass.
 *   z = f(x), or with sigma > 0 the mean over `samples` of f(x + sigma*v), v as igd_image_noise gives it
 *   y = softmax(z/temperature);  m = y*M;  logits = h(m.A(x))
 * f: the network up to value `last`, average pooling, classifier; A: the network up to value `layer`; h: the rest.
 * With layer == last all behind A is igd_masked_head_forward; clean and noisy images run as one batch, unless the
 * noisy ones have a network of their own.
 * Holds copies of what it is made of but the networks, which must outlive it. Threads: any number of calls of
 * igd_defended_forward on different workspaces. Values of an image depend neither on the batch nor on the threads.
 */
typedef struct igd_defended igd_defended;

/* noisy_net: what computes the noisy images, the same network made with other `products`, or NULL for `net`; only
 * with sigma > 0. weight [K,U'] and bias [K] of the classifier, U' the channels of `last`; masks [K,U], 0 or 1, U the
 * channels of `layer`; temperature > 0; sigma >= 0; samples >= 1 (1 where sigma is 0). */
IGD_API igd_status igd_defended_create(igd_net* net, igd_net* noisy_net, int layer, int last, const float* weight,
                                       const float* bias, int64_t k, const uint8_t* masks, double temperature,
                                       double sigma, int64_t samples, uint64_t seed, igd_defended** defended);

/* NULL is ignored. No call may be running. */
IGD_API void igd_defended_free(igd_defended* defended);

/* Bytes of working memory that igd_defended_forward needs for n images; 0 for arguments that it would refuse. */
IGD_API int64_t igd_defended_workspace(const igd_defended* defended, int64_t n);

/*
 * x             [N,C,H,W] dense, every value in [0,1] (another, or a NaN, is refused with its place)
 * workspace     igd_defended_workspace(defended, N) bytes, aligned to 4, the call's own while it runs
 * logits        [N,K]
 * first_logits  [N,K]: z
 * pseudo_labels [N]: index of the largest first logit, the lowest of equal ones; -1 if one is NaN
 */
IGD_API igd_status igd_defended_forward(const igd_defended* defended, int64_t n, const float* x, void* workspace,
                                        float* logits, float* first_logits, int32_t* pseudo_labels);

/*
 * CD-IR, step 1: the images that activate a unit most, in descending order, equal ones by index.
 *   indices[u,r] = image of the r-th largest q[:,u]
 * q       [N,U] float32|float64, the pooled activations; infinities are ordered; a NaN is refused with its
 *         image and unit (the one error after which an output, indices, is undefined)
 * top     1 <= top <= N (at most 2^30 images)
 * indices [U,top]
 * Cost: reads q once; about 2*N*U comparisons in vectors, then O(top) candidates per unit are ordered (all N of them where
 * 3*top > N).
 */
IGD_API igd_status igd_top_images(int dtype, const void* q, int64_t n, int64_t u, int64_t top,
                                  int32_t* indices);

/*
 * CD-IR, step 2 (CLIP-Dissect's soft WPMI, WPMI and their variants by label), without the gathered tensor
 * [U,top,K]: S = softmax_k(scale*p); with labels, S[i,k] = 0 where k != labels[i];
 *   L[u,k] = sum_r log(1 + rank_weight[r]*(S[indices[u,r],k] - 1) + min_prob)
 *   scores[u,k] = L[u,k] - lambda*(logsumexp_u L[u,k] - log U)
 * p           [N,K] float32|float64, image-text cosines; a value that is not finite is refused
 * scale       1e-6 to 1e6
 * labels      [N], 0 <= label < K, or NULL
 * indices     [U,top], images; 1 <= top <= N
 * rank_weight [top], 0 to 1, and 1 - rank_weight + min_prob >= 1e-12 (all 1: plain WPMI)
 * min_prob    0 to 1
 * scores      [U,K] float64. S and the factors under the logarithm are computed in dtype (see the file's
 *             header for the error: below 1e-13*top, float32 about 1e-7*top), the rest in float64.
 * Cost: U*top*K fused multiply-adds and as many multiplications; reads p twice, writes scores once.
 */
IGD_API igd_status igd_cdir_score(int dtype, const void* p, int64_t n, int64_t k, double scale,
                                  const int64_t* labels, const int32_t* indices, int64_t u, int64_t top,
                                  const double* rank_weight, double min_prob, double lambda, double* scores);

/*
 * The multiply-accumulate rate of a unit of this machine's processor, from registers alone, on all threads of
 * igd_threads_get at once: what a share of the peak is a share of.
 * unit     IGD_PEAK_FLOAT32: fused multiply-add of the active instruction set's widest vectors; _BFLOAT16_VECTOR:
 *          AVX512-BF16's dot products; _BFLOAT16_TILES: AMX-BF16. IGD_UNSUPPORTED where there is none.
 * seconds  how long to measure, more than 0 and at most 60; the fastest of many rounds counts
 * rate     multiply-accumulates per second
 */
enum { IGD_PEAK_FLOAT32 = 0, IGD_PEAK_BFLOAT16_VECTOR = 1, IGD_PEAK_BFLOAT16_TILES = 2 };
IGD_API igd_status igd_measure_peak(int unit, double seconds, double* rate);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IGD_KERNELS_H_ */
