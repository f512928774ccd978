package io.github.igdefense.model;

import io.github.igdefense.model.NetworkFamily.Names;
import io.github.igdefense.model.NetworkFamily.Shortcut;
import io.github.igdefense.model.Opening.Nonlinearity;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;

/** The families that are known: facts of the published code, nothing computed. */
final class NetworkFamilies {
  private static final ImageSize CIFAR = ImageSize.exactly(32);
  private static final ImageSize IMAGENET = ImageSize.atLeast(32, 224);
  private static final Shortcut AT_STRIDE = new Shortcut(true, 1, false);
  private static final IntFunction<Optional<InputNormalization>> NONE = k -> Optional.empty();
  private static final int CIFAR_100_CLASSES = 100;

  private static final Names RESNET_NAMES =
      new Names(
          "conv1",
          "bn1",
          "layer%d",
          1,
          "layer%d.%d.",
          n -> "conv" + n,
          n -> "bn" + n,
          "shortcut.0",
          "shortcut.1",
          null,
          "linear");

  private static final Names TORCHVISION_NAMES =
      new Names(
          "conv1",
          "bn1",
          "layer%d",
          1,
          "layer%d.%d.",
          n -> "conv" + n,
          n -> "bn" + n,
          "downsample.0",
          "downsample.1",
          null,
          "fc");

  private static final Names WRN_NAMES =
      new Names(
          "conv1",
          null,
          "block%d",
          1,
          "block%d.layer.%d.",
          n -> "conv" + n,
          n -> "bn" + n,
          "convShortcut",
          null,
          "bn1",
          "fc");

  private static final Names PREACT_NAMES =
      new Names(
          "conv1",
          null,
          "layer%d",
          1,
          "layer%d.%d.",
          n -> "conv" + n,
          n -> "bn" + n,
          "shortcut.0",
          null,
          "bn",
          "linear");

  private static final Names DM_WRN_NAMES =
      new Names(
          "init_conv",
          null,
          "layer.%d",
          0,
          "layer.%d.block.%d.",
          n -> "conv_" + (n - 1),
          n -> "batchnorm_" + (n - 1),
          "shortcut",
          null,
          "batchnorm",
          "logits");

  private static final Names DM_PREACT_NAMES =
      new Names(
          "conv_2d",
          null,
          "layer_%d",
          0,
          "layer_%d.%d.",
          n -> "conv_2d_" + n,
          n -> "batchnorm_" + (n - 1),
          "shortcut",
          null,
          "batchnorm",
          "logits");

  /** CIFAR ResNet: 3×3 stem, four stages of basic or bottleneck blocks. */
  static final NetworkFamily CIFAR_RESNET =
      new NetworkFamily(
          "cifar-resnet",
          RESNET_NAMES,
          4,
          false,
          false,
          AT_STRIDE,
          false,
          Nonlinearity.RELU,
          CIFAR,
          NONE,
          List.of());

  /** ImageNet ResNet, wide ResNet and ResNeXt as in torchvision; the stride is on the 3×3. */
  static final NetworkFamily IMAGENET_RESNET =
      new NetworkFamily(
          "imagenet-resnet",
          TORCHVISION_NAMES,
          4,
          false,
          true,
          AT_STRIDE,
          false,
          Nonlinearity.RELU,
          IMAGENET,
          k -> Optional.of(InputNormalizations.IMAGENET),
          List.of());

  /** Wide ResNet of the TRADES code; its files may carry a block1 twice, the second never used. */
  static final NetworkFamily WRN =
      new NetworkFamily(
          "wrn",
          WRN_NAMES,
          3,
          true,
          false,
          new Shortcut(false, 1, false),
          false,
          Nonlinearity.RELU,
          CIFAR,
          NONE,
          List.of("sub_block1."));

  /** Pre-activation ResNet, the shortcut's convolution after batch normalisation and ReLU. */
  static final NetworkFamily PREACT_RESNET = preact("preact-resnet", false);

  /** The same, the shortcut's convolution on the block's input itself. */
  static final NetworkFamily PREACT_RESNET_RAW = preact("preact-resnet-raw-shortcut", true);

  /** DeepMind's wide ResNet with SiLU. */
  static final NetworkFamily DM_WRN =
      deepMind("dm-wrn", DM_WRN_NAMES, 3, new Shortcut(false, 1, false), Nonlinearity.SILU);

  /** DeepMind's wide ResNet with ReLU. */
  static final NetworkFamily DM_WRN_RELU =
      deepMind("dm-wrn-relu", DM_WRN_NAMES, 3, new Shortcut(false, 1, false), Nonlinearity.RELU);

  /** DeepMind's pre-activation ResNet with SiLU; its shortcuts are 3×3. */
  static final NetworkFamily DM_PREACT_RESNET =
      deepMind(
          "dm-preact-resnet", DM_PREACT_NAMES, 4, new Shortcut(true, 3, true), Nonlinearity.SILU);

  /** DeepMind's pre-activation ResNet with ReLU. */
  static final NetworkFamily DM_PREACT_RESNET_RELU =
      deepMind(
          "dm-preact-resnet-relu",
          DM_PREACT_NAMES,
          4,
          new Shortcut(true, 3, true),
          Nonlinearity.RELU);

  /** All of them, the likelier first where tensors cannot tell. */
  static final List<NetworkFamily> ALL =
      List.of(
          CIFAR_RESNET,
          WRN,
          PREACT_RESNET,
          PREACT_RESNET_RAW,
          DM_WRN,
          DM_WRN_RELU,
          DM_PREACT_RESNET,
          DM_PREACT_RESNET_RELU,
          IMAGENET_RESNET);

  private NetworkFamilies() {}

  private static NetworkFamily preact(String name, boolean raw) {
    return new NetworkFamily(
        name,
        PREACT_NAMES,
        4,
        true,
        false,
        new Shortcut(true, 1, raw),
        false,
        Nonlinearity.RELU,
        CIFAR,
        NONE,
        List.of());
  }

  private static NetworkFamily deepMind(
      String name, Names names, int stages, Shortcut shortcut, Nonlinearity activation) {
    return new NetworkFamily(
        name,
        names,
        stages,
        true,
        false,
        shortcut,
        true,
        activation,
        CIFAR,
        k ->
            Optional.of(
                k == CIFAR_100_CLASSES
                    ? InputNormalizations.CIFAR_100
                    : InputNormalizations.CIFAR_10),
        List.of());
  }
}
