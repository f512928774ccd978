// What the leave-one-out kernels inside the network offer, per instruction set, to their drivers.
#ifndef IGD_CPU_LOO_INTERIOR_TABLE_H_
#define IGD_CPU_LOO_INTERIOR_TABLE_H_

#include <stdint.h>

namespace igd {

// The bits of a bfloat16: the upper half of a float32.
struct BFloat16 {
  uint16_t bits;
};

// The type that sums are kept in.
template <typename T>
struct Accumulator {
  typedef T Type;
};
template <>
struct Accumulator<BFloat16> {
  typedef float Type;
};

// One call of igd_loo_ablate_convolution; shapes and meaning as in igd/kernels.h.
template <typename T>
struct AblatedConvolution {
  typedef typename Accumulator<T>::Type Acc;
  const T* base;      // [N,OH,OW,O]
  const T* input;     // [N,H,W,U]
  const T* removed;   // [U] or nullptr
  const Acc* weight;  // [U,kernel*kernel,O/groups]
  int64_t oh, ow, o, h, w, u;
  int64_t kernel, stride, padding, groups;
  bool relu;
  const int64_t* units;   // [P]
  const int64_t* images;  // [P]
  T* out;                 // [P,OH,OW,O]
};

#define IGD_DECLARE_LOO_INTERIOR(isa_namespace)                                               \
  namespace isa_namespace {                                                                   \
  void ablate_convolution(const AblatedConvolution<float>& c, int64_t begin, int64_t end);    \
  void ablate_convolution(const AblatedConvolution<double>& c, int64_t begin, int64_t end);   \
  void ablate_convolution(const AblatedConvolution<BFloat16>& c, int64_t begin, int64_t end); \
  }

IGD_DECLARE_LOO_INTERIOR(portable)
IGD_DECLARE_LOO_INTERIOR(avx2)
IGD_DECLARE_LOO_INTERIOR(avx512)

}  // namespace igd

#endif  // IGD_CPU_LOO_INTERIOR_TABLE_H_
