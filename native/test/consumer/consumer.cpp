// A program that uses the native library by its installed header alone: the masked head on two images.
// Exits with 0 if the values are right.
#include <cmath>
#include <cstdio>

#include "igd/kernels.h"

int main() {
  // 2 images, 3 units of 2x1 positions (NCHW), 2 classes.
  const float a[] = {1, 3, 0, 2, 4, 4, /* image 1: */ 0, 0, 6, 2, 1, 1};
  const float weight[] = {1, 0, 0.5f, /* class 1: */ 0, 1, -0.5f};
  const float bias[] = {0.25f, -0.25f};
  const unsigned char masks[] = {1, 0, 1, /* class 1: */ 0, 1, 0};
  float pooled[6], soft_weights[4], logits[4];
  const igd_status status =
      igd_masked_head_forward(IGD_FLOAT32, a, 6, 2, 1, 2, 3, 2, weight, bias, 2, masks, 0.01, nullptr, pooled,
                              nullptr, soft_weights, nullptr, logits);
  if (status != IGD_OK) {
    std::fprintf(stderr, "igd_masked_head_forward: %s\n", igd_last_error());
    return 1;
  }
  // Image 0 pools to (2,1,4): z = (4.25,-1.25), class 0, which keeps units 0 and 2: logits (4.25,-2.25).
  // Image 1 pools to (0,4,1): z = (0.75,3.25), class 1, which keeps unit 1: logits (0.25,3.75).
  const float expected[] = {4.25f, -2.25f, 0.25f, 3.75f};
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    std::printf("logits[%d] = %g (expected %g)\n", i, logits[i], expected[i]);
    wrong += std::fabs(logits[i] - expected[i]) > 1e-6f;
  }
  // Bad input is refused with a message.
  wrong +=
      igd_masked_head_forward(IGD_FLOAT32, nullptr, 6, 2, 1, 2, 3, 2, weight, bias, 2, masks, 0.01, nullptr,
                              pooled, nullptr, soft_weights, nullptr, logits) != IGD_INVALID_ARGUMENT;
  std::printf("refused as it should be: %s\n", igd_last_error());
  std::printf("%s, running %s\n%s\n", igd_build_info(), igd_isa_name(igd_isa_active()),
              wrong ? "WRONG" : "ok");
  return wrong == 0 ? 0 : 1;
}
