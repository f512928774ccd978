# The sources of libigd_kernels_cuda in native/cuda, without their ending: for nvcc and for the emulation.
set(IGD_CUDA_SOURCES
  apgd_step
  cdir_score
  loo_interior
  loo_penultimate
  masked_activation
  masked_head
  runtime)
