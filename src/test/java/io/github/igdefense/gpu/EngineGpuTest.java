package io.github.igdefense.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.igdefense.attack.Apgd;
import io.github.igdefense.attack.AttackContext;
import io.github.igdefense.attack.AttackResult;
import io.github.igdefense.attack.Epsilon;
import io.github.igdefense.attack.Norm;
import io.github.igdefense.data.ImageBatch;
import io.github.igdefense.data.ImageBatches;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.ImageSets;
import io.github.igdefense.defense.ClassMasks;
import io.github.igdefense.defense.GraphedDefense;
import io.github.igdefense.defense.IgDefense;
import io.github.igdefense.defense.Smoothing;
import io.github.igdefense.importance.LeaveOneOut;
import io.github.igdefense.importance.Normalization;
import io.github.igdefense.importance.Ranking;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.NetworkOptions;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

/**
 * Ranking, defended logits, CUDA graphs and Auto-PGD on a device against float64 on the processor.
 */
@RequiresGpu
class EngineGpuTest {
  private static final int IMAGES = 200;
  private static final int KEEP = 50;

  private static StagedNetwork open(Dtype dtype, Device device) {
    return Networks.open(
        Networks.AUTO, "embedded:fashion-mnist", NetworkOptions.of(dtype).withDevice(device));
  }

  @Test
  void rankingsAreTheProcessors() {
    try (StagedNetwork expected = open(Dtype.FLOAT64, Device.CPU);
        StagedNetwork actual = open(Dtype.FLOAT32, Device.cuda(0));
        ImageSet images = ImageSets.open("embedded:test", IMAGES)) {
      for (MaskableLayer layer : expected.layers()) {
        double[] e = rank(expected, layer, images).toArray();
        double[] a = rank(actual, actual.layer(layer.name()), images).toArray();
        double largest = java.util.Arrays.stream(e).max().orElseThrow();
        for (int i = 0; i < e.length; i++) {
          assertThat(Math.abs(a[i] - e[i])).as(layer.name()).isLessThan(1e-3 * largest);
        }
      }
    }
  }

  private static Ranking rank(StagedNetwork network, MaskableLayer layer, ImageSet images) {
    return new LeaveOneOut(network, layer, Normalization.CLASS_MEAN, false, 50)
        .rank(images, done -> {});
  }

  @Test
  void defendedLogitsAreTheProcessorsEagerAndAsAGraph() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork expected = open(Dtype.FLOAT64, Device.CPU);
        StagedNetwork actual = open(Dtype.FLOAT32, Device.cuda(0))) {
      Tensor wide = images(expected);
      Tensor narrow = Tensors.to(wide, Dtype.FLOAT32);
      for (Smoothing smoothing : new Smoothing[] {Smoothing.NONE, new Smoothing(4 / 255.0, 2)}) {
        try (IgDefense reference = defense(expected, smoothing);
            IgDefense defense = defense(actual, smoothing);
            GraphedDefense graphed = new GraphedDefense(defense)) {
          Tensor logits = reference.logits(wide);
          KernelParityGpuTest.close(logits, defense.logits(narrow), 2e-3);
          for (int call = 0; call < 3; call++) {
            KernelParityGpuTest.close(logits, graphed.logits(narrow), 2e-3);
          }
          assertThat(graphed.failure()).isNull();
          // Other images of the same shape through the same graph.
          Tensor flipped = narrow.flip(0);
          KernelParityGpuTest.close(defense.logits(flipped), graphed.logits(flipped), 1e-5);
        }
      }
    }
  }

  @Test
  void attacksBreakTheSameImages() {
    try (PointerScope scope = new PointerScope();
        StagedNetwork expected = open(Dtype.FLOAT64, Device.CPU);
        StagedNetwork actual = open(Dtype.FLOAT32, Device.cuda(0));
        IgDefense reference = defense(expected, Smoothing.NONE);
        IgDefense defense = defense(actual, Smoothing.NONE)) {
      Tensor x = images(expected);
      long[] labels = labels();
      Apgd attack = new Apgd(Apgd.Loss.CE, Norm.LINF, Epsilon.of255(8), 20);
      try (AttackContext one = AttackContext.seeded(1);
          AttackContext two = AttackContext.seeded(1);
          AttackResult slow = attack.run(reference, x, labels, one);
          AttackResult fast = attack.run(defense, Tensors.to(x, Dtype.FLOAT32), labels, two)) {
        // Single images may fall on the other side of a decision by rounding.
        assertThat(fast.robustCount()).isBetween(slow.robustCount() - 2, slow.robustCount() + 2);
        // What the device calls broken is broken for the processor's float32, too.
        try (StagedNetwork cpu = open(Dtype.FLOAT32, Device.CPU);
            IgDefense judge = defense(cpu, Smoothing.NONE)) {
          KernelParityGpuTest.close(
              judge.logits(fast.adversarial()), defense.logits(fast.adversarial()), 2e-3);
        }
      }
    }
  }

  private static IgDefense defense(StagedNetwork network, Smoothing smoothing) {
    MaskableLayer layer = network.penultimate();
    ClassMasks masks =
        ClassMasks.random(layer.name(), network.classCount(), layer.units(), KEEP, 1);
    return IgDefense.withFixedNoise(network, masks, 0.01, smoothing, 5);
  }

  private static Tensor images(StagedNetwork network) {
    try (ImageSet set = ImageSets.open("embedded:test", IMAGES);
        ImageBatches batches = ImageBatches.of(set, IMAGES)) {
      ImageBatch batch = batches.next();
      return network.tensor(batch);
    }
  }

  private static long[] labels() {
    try (ImageSet set = ImageSets.open("embedded:test", IMAGES);
        ImageBatches batches = ImageBatches.of(set, IMAGES)) {
      return batches.next().labels();
    }
  }
}
