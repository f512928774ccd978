package io.github.igdefense.model;

import io.github.igdefense.tensor.Tensors;
import java.util.HashSet;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * The published networks as their papers and code compute them: layer by layer, batch normalisation
 * by libtorch, explicit padding, tensors looked up by their published names. Float64. Shares
 * nothing with the compiled form.
 */
final class PlainNetwork {
  private static final long[] ONES = {1, 1};
  private final StateDict state;
  private final Set<String> used = new HashSet<>();

  PlainNetwork(StateDict state) {
    this.state = state;
  }

  /** The tensors that were looked up so far. */
  Set<String> used() {
    return used;
  }

  /** Logits of a family, [N,K], in the caller's scope; the input is normalised already. */
  Tensor logits(String family, Tensor x) {
    return switch (family) {
      case "cifar-resnet" -> resNet(x, "shortcut", "linear");
      case "imagenet-resnet" -> resNet(x, "downsample", "fc");
      case "wrn" -> wide(x);
      case "preact-resnet" -> preAct(x, false);
      case "preact-resnet-raw-shortcut" -> preAct(x, true);
      case "dm-wrn" -> deepMindWide(x, torch::silu);
      case "dm-wrn-relu" -> deepMindWide(x, torch::relu);
      case "dm-preact-resnet" -> deepMindPreAct(x, torch::silu);
      case "dm-preact-resnet-relu" -> deepMindPreAct(x, torch::relu);
      default -> throw new AssertionError(family);
    };
  }

  private Tensor tensor(String name) {
    used.add(name);
    HostTensor host = state.get(name);
    return Tensors.of(host.toDoubles(), host.shape());
  }

  private Tensor conv(Tensor x, String name, int stride, int padding) {
    Tensor weight = tensor(name + ".weight");
    int groups = (int) (x.size(1) / weight.size(1));
    long[] strides = {stride, stride};
    long[] paddings = {padding, padding};
    return torch.conv2d(x, weight, new TensorOptional(), strides, paddings, ONES, groups);
  }

  private Tensor norm(Tensor x, String name) {
    return torch.batch_norm(
        x,
        new TensorOptional(tensor(name + ".weight")),
        new TensorOptional(tensor(name + ".bias")),
        new TensorOptional(tensor(name + ".running_mean")),
        new TensorOptional(tensor(name + ".running_var")),
        false,
        0.1,
        1e-5,
        false);
  }

  private Tensor pooled(Tensor x, String classifier) {
    return torch.linear(
        x.mean(2, 3),
        tensor(classifier + ".weight"),
        new TensorOptional(tensor(classifier + ".bias")));
  }

  private boolean has(String name) {
    return state.contains(name + ".weight");
  }

  private Tensor resNet(Tensor x, String shortcut, String classifier) {
    boolean imageNet = classifier.equals("fc");
    Tensor out = norm(conv(x, "conv1", imageNet ? 2 : 1, imageNet ? 3 : 1), "bn1").relu();
    if (imageNet) {
      out = torch.max_pool2d(out, new long[] {3, 3}, new long[] {2, 2}, ONES, ONES, false);
    }
    for (int layer = 1; layer <= 4; layer++) {
      for (int b = 0; has("layer" + layer + "." + b + ".conv1"); b++) {
        String name = "layer" + layer + "." + b + ".";
        int stride = layer > 1 && b == 0 ? 2 : 1;
        Tensor residual =
            has(name + shortcut + ".0")
                ? norm(conv(out, name + shortcut + ".0", stride, 0), name + shortcut + ".1")
                : out;
        Tensor main;
        if (has(name + "conv3")) {
          main = norm(conv(out, name + "conv1", 1, 0), name + "bn1").relu();
          main = norm(conv(main, name + "conv2", stride, 1), name + "bn2").relu();
          main = norm(conv(main, name + "conv3", 1, 0), name + "bn3");
        } else {
          main = norm(conv(out, name + "conv1", stride, 1), name + "bn1").relu();
          main = norm(conv(main, name + "conv2", 1, 1), name + "bn2");
        }
        out = main.add(residual).relu();
      }
    }
    return pooled(out, classifier);
  }

  private Tensor wide(Tensor x) {
    Tensor out = conv(x, "conv1", 1, 1);
    for (int group = 1; group <= 3; group++) {
      for (int b = 0; has("block" + group + ".layer." + b + ".conv1"); b++) {
        String name = "block" + group + ".layer." + b + ".";
        int stride = group > 1 && b == 0 ? 2 : 1;
        Tensor entered = norm(out, name + "bn1").relu();
        Tensor main = norm(conv(entered, name + "conv1", stride, 1), name + "bn2").relu();
        Tensor residual =
            has(name + "convShortcut") ? conv(entered, name + "convShortcut", stride, 0) : out;
        out = residual.add(conv(main, name + "conv2", 1, 1));
      }
    }
    return pooled(norm(out, "bn1").relu(), "fc");
  }

  private Tensor preAct(Tensor x, boolean raw) {
    Tensor out = conv(x, "conv1", 1, 1);
    for (int layer = 1; layer <= 4; layer++) {
      for (int b = 0; has("layer" + layer + "." + b + ".conv1"); b++) {
        String name = "layer" + layer + "." + b + ".";
        int stride = layer > 1 && b == 0 ? 2 : 1;
        Tensor entered = norm(out, name + "bn1").relu();
        Tensor residual =
            has(name + "shortcut.0")
                ? conv(raw ? out : entered, name + "shortcut.0", stride, 0)
                : out;
        Tensor main;
        if (has(name + "conv3")) {
          main = conv(entered, name + "conv1", 1, 0);
          main = conv(norm(main, name + "bn2").relu(), name + "conv2", stride, 1);
          main = conv(norm(main, name + "bn3").relu(), name + "conv3", 1, 0);
        } else {
          main = conv(entered, name + "conv1", stride, 1);
          main = conv(norm(main, name + "bn2").relu(), name + "conv2", 1, 1);
        }
        out = main.add(residual);
      }
    }
    return pooled(has("bn") ? norm(out, "bn").relu() : out, "linear");
  }

  /** Zeros on all sides at stride 1, behind the last row and column at stride 2. */
  private static Tensor pad(Tensor x, int stride) {
    int before = stride == 1 ? 1 : 0;
    return torch.constant_pad_nd(x, before, 1, before, 1);
  }

  private Tensor deepMindWide(Tensor x, UnaryOperator<Tensor> activation) {
    Tensor out = conv(x, "init_conv", 1, 1);
    for (int group = 0; group < 3; group++) {
      for (int b = 0; has("layer." + group + ".block." + b + ".conv_0"); b++) {
        String name = "layer." + group + ".block." + b + ".";
        int stride = group > 0 && b == 0 ? 2 : 1;
        Tensor entered = activation.apply(norm(out, name + "batchnorm_0"));
        Tensor main = conv(pad(entered, stride), name + "conv_0", stride, 0);
        main = activation.apply(norm(main, name + "batchnorm_1"));
        Tensor residual =
            has(name + "shortcut") ? conv(entered, name + "shortcut", stride, 0) : out;
        out = residual.add(conv(main, name + "conv_1", 1, 1));
      }
    }
    return pooled(activation.apply(norm(out, "batchnorm")), "logits");
  }

  private Tensor deepMindPreAct(Tensor x, UnaryOperator<Tensor> activation) {
    Tensor out = conv(x, "conv_2d", 1, 1);
    for (int layer = 0; layer < 4; layer++) {
      for (int b = 0; has("layer_" + layer + "." + b + ".conv_2d_1"); b++) {
        String name = "layer_" + layer + "." + b + ".";
        int stride = layer > 0 && b == 0 ? 2 : 1;
        Tensor entered = activation.apply(norm(out, name + "batchnorm_0"));
        Tensor residual =
            has(name + "shortcut") ? conv(pad(out, stride), name + "shortcut", stride, 0) : out;
        Tensor main = conv(pad(entered, stride), name + "conv_2d_1", stride, 0);
        main = activation.apply(norm(main, name + "batchnorm_1"));
        out = conv(main, name + "conv_2d_2", 1, 1).add(residual);
      }
    }
    return pooled(activation.apply(norm(out, "batchnorm")), "logits");
  }
}
