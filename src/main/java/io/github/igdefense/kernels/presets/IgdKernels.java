package io.github.igdefense.kernels.presets;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * JavaCPP configuration of the binding to our native kernels.
 *
 * <p>The binding is made from {@code native/jni/igd_jni.h} and {@code igd_jni_cuda.h}, whose
 * functions take addresses as 64-bit integers, so that a call from Java allocates no pointer
 * wrapper. The CUDA library is no part of the link: it is opened at run time where it is wanted.
 * libgomp is the one that libtorch carries: the process has one OpenMP runtime.
 */
@Properties(
    value =
        @Platform(
            value = "linux-x86_64",
            include = {"igd_jni.h", "igd_jni_cuda.h"},
            link = "igd_kernels",
            preload = "gomp@.1",
            preloadresource = "/org/bytedeco/pytorch/",
            compiler = "cpp17"),
    target = "io.github.igdefense.kernels.binding",
    global = "io.github.igdefense.kernels.binding.IgdKernels")
public class IgdKernels implements InfoMapper {
  @Override
  public void map(InfoMap infoMap) {
    infoMap.put(new Info("IGD_JNI_H").skip());
    infoMap.put(new Info("IGD_JNI_CUDA_H").skip());
  }
}
