package io.github.igdefense.defense;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.DifferentiableClassifier;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.LinearHead;
import io.github.igdefense.model.LogitLoss;
import io.github.igdefense.model.MaskableLayer;
import io.github.igdefense.model.Recording;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.DevicePipeline;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.FusedOps;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The defended classifier (paper Sec. 4, spec Sec. 2): a pseudo-label from a first pass, smoothed
 * or not; ŷ = softmax(z/τ); soft mask m = ŷ·M on one layer of the second pass.
 *
 * <p>At the penultimate layer all of it after the prefix is one native kernel, with an analytic
 * backward. Without smoothing both passes share the prefix; with smoothing clean and noisy images
 * run as one batch. Gradients flow through both passes, including the softmax weights: nothing is
 * masked from an attacker.
 *
 * <p>Owns the masks' native memory until {@link #close}; not the network. Threads: calls may run at
 * the same time if the noise source allows it (those of {@link NoiseSource} do).
 */
public final class IgDefense implements DifferentiableClassifier, AutoCloseable {
  /** τ of the paper. */
  public static final double DEFAULT_TEMPERATURE = 0.01;

  private final StagedNetwork network;
  private final MaskableLayer layer;
  private final ClassMasks masks;
  private final double temperature;
  private final Smoothing smoothing;
  private final NoiseSource noise;
  private final boolean fixedNoise;
  private final boolean fusing;
  private final boolean fused;
  private final StagedNetwork pseudoLabelNetwork;
  private final Tensor maskBits;
  private final Tensor maskValues;
  private volatile boolean closed;

  /**
   * A defended classifier.
   *
   * @param network the base model; not owned, must stay open
   * @param masks for a layer of the network
   * @param temperature τ &gt; 0
   * @param noise for the smoothed pass; null without smoothing
   * @throws InputException if masks and network do not fit
   */
  public IgDefense(
      StagedNetwork network,
      ClassMasks masks,
      double temperature,
      Smoothing smoothing,
      NoiseSource noise) {
    this(network, masks, temperature, smoothing, noise, false, true, null);
  }

  private IgDefense(
      StagedNetwork network,
      ClassMasks masks,
      double temperature,
      Smoothing smoothing,
      NoiseSource noise,
      boolean fixedNoise,
      boolean fuse,
      StagedNetwork pseudoLabelNetwork) {
    NativeRuntime.load();
    this.network = network;
    this.layer = network.layer(masks.layer());
    if (masks.units() != layer.units() || masks.classCount() != network.classCount()) {
      throw new InputException(
          "expected masks of "
              + network.classCount()
              + " classes x "
              + layer.units()
              + " units for "
              + layer.name()
              + " of "
              + network.architecture()
              + ", got "
              + masks.classCount()
              + " x "
              + masks.units());
    }
    if (!(temperature > 0) || Double.isInfinite(temperature)) {
      throw new InputException("expected a temperature above 0, got " + temperature);
    }
    if (smoothing.enabled() && noise == null) {
      throw new IllegalArgumentException("smoothing needs a noise source");
    }
    if (pseudoLabelNetwork != null) {
      PseudoLabels.check(network, pseudoLabelNetwork, smoothing);
    }
    this.pseudoLabelNetwork = pseudoLabelNetwork;
    this.masks = masks;
    this.temperature = temperature;
    this.smoothing = smoothing;
    this.noise = noise;
    this.fixedNoise = fixedNoise;
    this.fusing = fuse;
    this.fused = fuse && layer.penultimate();
    double[] values = new double[masks.bits().length];
    for (int i = 0; i < values.length; i++) {
      values[i] = masks.bits()[i];
    }
    try (PointerScope scope = new PointerScope()) {
      Tensor dense = Tensors.of(values, masks.classCount(), masks.units());
      Device device = network.device();
      this.maskBits = Tensors.keep(device.move(dense.to(ScalarType.Byte)));
      // The type of logits.
      Dtype type = network.dtype() == Dtype.FLOAT64 ? Dtype.FLOAT64 : Dtype.FLOAT32;
      this.maskValues = Tensors.keep(device.move(Tensors.to(dense, type)));
    }
  }

  /** The same, smoothed with one fixed draw: deterministic. */
  public static IgDefense withFixedNoise(
      StagedNetwork network, ClassMasks masks, double temperature, Smoothing smoothing, long seed) {
    return new IgDefense(
        network,
        masks,
        temperature,
        smoothing,
        NoiseSource.fixed(seed, smoothing.samples()),
        true,
        true,
        null);
  }

  /**
   * The same, the noisy images of the first pass computed by {@code coarse}; the clean images and
   * the logits stay with this defense's network. Gradients flow through both, those of the first
   * pass in the coarse arithmetic.
   *
   * @param coarse the same model in bfloat16, or in float32 at precision {@code high} beside this
   *     network at {@code highest}; not owned, must stay open
   * @return a defense with masks of its own, to be closed like this one
   * @throws InputException without smoothing (then there is no noisy pass), or if the networks are
   *     not one model in these arithmetics
   */
  public IgDefense withPseudoLabels(StagedNetwork coarse) {
    checkOpen();
    return new IgDefense(network, masks, temperature, smoothing, noise, fixedNoise, fusing, coarse);
  }

  /**
   * The same, smoothed with noise that belongs to each image ({@link NoiseSource#ofImage}):
   * deterministic.
   */
  public static IgDefense withImageNoise(
      StagedNetwork network, ClassMasks masks, double temperature, Smoothing smoothing, long seed) {
    return new IgDefense(
        network, masks, temperature, smoothing, NoiseSource.ofImage(seed), true, true, null);
  }

  /**
   * The same computation through libtorch's own operations alone: what the kernels are held
   * against.
   */
  static IgDefense unfused(
      StagedNetwork network,
      ClassMasks masks,
      double temperature,
      Smoothing smoothing,
      NoiseSource noise) {
    return new IgDefense(network, masks, temperature, smoothing, noise, false, false, null);
  }

  @Override
  public String name() {
    String smoothed =
        smoothing.enabled()
            ? ", sigma="
                + String.format(java.util.Locale.ROOT, "%.5g", smoothing.sigma())
                + ", samples="
                + smoothing.samples()
                + (fixedNoise ? ", fixed noise" : "")
            : "";
    return "ig-defense("
        + masks.origin()
        + ", "
        + layer.name()
        + ", k="
        + masks.keep()
        + smoothed
        + (pseudoLabelNetwork == null ? "" : ", pseudo-labels in " + pseudoLabelArithmetic())
        + ")";
  }

  /** The base model. */
  public StagedNetwork network() {
    return network;
  }

  /** The masks. */
  public ClassMasks masks() {
    return masks;
  }

  /** The smoothing of the first pass. */
  public Smoothing smoothing() {
    return smoothing;
  }

  /** τ. */
  public double temperature() {
    return temperature;
  }

  @Override
  public int classCount() {
    return network.classCount();
  }

  @Override
  public Dtype dtype() {
    return network.dtype();
  }

  /** The arithmetic of the first pass: the network's, but for {@link #withPseudoLabels}. */
  public Dtype pseudoLabelDtype() {
    return firstNetwork().dtype();
  }

  /** The same with the precision of float32 in effect, as {@link StagedNetwork#arithmetic}. */
  public String pseudoLabelArithmetic() {
    return firstNetwork().arithmetic();
  }

  @Override
  public boolean deterministic() {
    return !smoothing.enabled() || fixedNoise;
  }

  /**
   * What the defended forward pass gives, in the caller's scope.
   *
   * @param logits [N,K] of the second pass
   * @param firstLogits z [N,K] of the first pass; its largest entry is the pseudo-label
   * @param softWeights ŷ [N,K]
   */
  public record Forward(Tensor logits, Tensor firstLogits, Tensor softWeights) {}

  /** Both passes, without autograd bookkeeping. */
  public Forward forward(Tensor x) {
    checkOpen();
    Tensor[] out = new Tensor[3];
    try (PointerScope scope = new PointerScope()) {
      Forward forward = forward(x, draws(x));
      out[0] = Tensors.keep(forward.logits());
      out[1] = Tensors.keep(forward.firstLogits());
      out[2] = Tensors.keep(forward.softWeights());
    }
    return new Forward(Tensors.adopt(out[0]), Tensors.adopt(out[1]), Tensors.adopt(out[2]));
  }

  /**
   * Both passes with given noise.
   *
   * @param draws of {@link #draws}
   */
  Forward forward(Tensor x, Tensor draws) {
    checkOpen();
    Tensor[] out = new Tensor[3];
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      if (fused) {
        Passes passes = passes(x, draws);
        FusedOps.MaskedHead head = head(passes.clean(), passes.firstLogits());
        Device origin = Device.of(x);
        out[0] = Tensors.keep(origin.move(head.logits()));
        out[1] = Tensors.keep(origin.move(head.firstLogits()));
        out[2] = Tensors.keep(origin.move(head.softWeights()));
      } else {
        Forward forward = plain(x, draws);
        out[0] = Tensors.keep(forward.logits());
        out[1] = Tensors.keep(forward.firstLogits());
        out[2] = Tensors.keep(forward.softWeights());
      }
    }
    return new Forward(Tensors.adopt(out[0]), Tensors.adopt(out[1]), Tensors.adopt(out[2]));
  }

  @Override
  public Tensor logits(Tensor x) {
    if (smoothing.enabled()) {
      return Tensors.scoped(() -> forward(x).logits());
    }
    return DevicePipeline.map(
        network.device(), x, part -> Tensors.scoped(() -> forward(part).logits()));
  }

  @Override
  public LossGradient lossGradient(Tensor x, LogitLoss loss) {
    checkOpen();
    return fused
        ? fusedGradient(x, loss)
        : Gradients.of(x, leaf -> plain(leaf, draws(leaf)).logits(), loss);
  }

  /**
   * The same over several draws. The clean images, which all draws share, go through the network
   * forward and backward once: 20 evaluations cost 21 passes instead of 40.
   */
  @Override
  public LossGradient meanLossGradient(Tensor x, LogitLoss loss, int samples) {
    checkOpen();
    return fused && smoothing.enabled() && samples > 1
        ? MeanGradient.of(this, x, loss, samples)
        : DifferentiableClassifier.super.meanLossGradient(x, loss, samples);
  }

  @Override
  public ForwardPass record(Tensor x) {
    checkOpen();
    return fused ? fusedPass(x) : Gradients.record(x, leaf -> plain(leaf, draws(leaf)).logits());
  }

  private LossGradient fusedGradient(Tensor x, LogitLoss loss) {
    try (MaskedHeadPass pass = fusedPass(x)) {
      return Gradients.through(pass.logits(), loss, weights -> pass.gradient(weights, false));
    }
  }

  /** One recorded prefix of clean and noisy images, the masked head in the kernel. */
  private MaskedHeadPass fusedPass(Tensor x) {
    try (PointerScope scope = new PointerScope()) {
      if (pseudoLabelNetwork != null) {
        return apartPass(x);
      }
      Recording recording =
          network.recordPrefix(
              smoothing.enabled() ? torch.cat(Tensors.vector(x.detach(), noisyImages(x)), 0) : x,
              layer);
      boolean done = false;
      try {
        MaskedHeadPass pass = fusedPass(recording, x.size(0), Device.of(x));
        done = true;
        return pass;
      } finally {
        if (!done) {
          recording.close();
        }
      }
    }
  }

  private MaskedHeadPass fusedPass(Recording recording, long n, Device origin) {
    try (AutoGradMode on = new AutoGradMode(true)) {
      Tensor activation = recording.activation();
      Tensor clean = smoothing.enabled() ? activation.narrow(0, 0, n) : activation;
      Tensor smoothed = null;
      Tensor first = null;
      if (smoothing.enabled()) {
        smoothed = activation.narrow(0, n, n * smoothing.samples()).detach().requires_grad_(true);
        first = Smoothing.meanOfDraws(network.suffix(smoothed, layer), smoothing.samples());
      }
      boolean own = first == null;
      FusedOps.MaskedHead head = head(clean, own ? null : first.detach());
      return new MaskedHeadPass(
          recording,
          smoothed,
          first,
          clean,
          head,
          origin,
          gradLogits -> headBackward(gradLogits, head, clean, own));
    }
  }

  /** The same with the noisy images in a pass of their own. */
  private MaskedHeadPass apartPass(Tensor x) {
    Recording recording = network.recordPrefix(x.detach(), layer);
    SmoothedPass noisy = null;
    boolean done = false;
    try (AutoGradMode off = new AutoGradMode(false)) {
      noisy = new SmoothedPass(recordNoisy(noisyImages(x)), smoothing.samples());
      Tensor clean = recording.activation();
      FusedOps.MaskedHead head = head(clean, noisy.logits());
      MaskedHeadPass pass =
          new MaskedHeadPass(
              recording,
              noisy,
              clean,
              head,
              Device.of(x),
              gradLogits -> headBackward(gradLogits, head, clean, false));
      done = true;
      return pass;
    } finally {
      if (!done) {
        if (noisy != null) {
          noisy.close();
        }
        recording.close();
      }
    }
  }

  /**
   * The masked head in the kernel; {@code firstLogits} null to compute them from the activation.
   */
  FusedOps.MaskedHead head(Tensor activation, Tensor firstLogits) {
    LinearHead head = network.head();
    return FusedOps.maskedHead(
        activation, head.weight(), head.bias(), maskBits, temperature, firstLogits);
  }

  /** Its backward; {@code own}: it computed the first logits itself. */
  FusedOps.MaskedHeadGradient headBackward(
      Tensor gradLogits, FusedOps.MaskedHead head, Tensor activation, boolean own) {
    return FusedOps.maskedHeadBackward(
        gradLogits, head, activation, network.head().weight(), maskBits, temperature, own);
  }

  /** The next draw's images [N·n_s,C,H,W] of the network's type, detached. */
  Tensor noisyImages(Tensor x) {
    return Tensors.scoped(() -> noisy(x.detach(), draws(x.detach())));
  }

  /** The smoothed pass, recorded; of any number of noisy images. The caller closes it. */
  ForwardPass recordNoisy(Tensor images) {
    StagedNetwork first = firstNetwork();
    return first.record(Tensors.to(images, first.dtype()));
  }

  /** What computes the first pass. */
  private StagedNetwork firstNetwork() {
    return pseudoLabelNetwork == null ? network : pseudoLabelNetwork;
  }

  /** The masked layer. */
  MaskableLayer layer() {
    return layer;
  }

  /**
   * The layer's activations of the clean images, and z where a smoothed pass gives it.
   *
   * @param clean [N,U,H,W]
   * @param firstLogits [N,K] or null
   */
  private record Passes(Tensor clean, Tensor firstLogits) {}

  private Passes passes(Tensor x, Tensor draws) {
    if (!smoothing.enabled()) {
      return new Passes(network.prefix(x, layer), null);
    }
    long n = x.size(0);
    StagedNetwork first = firstNetwork();
    long noisy = n * smoothing.samples();
    Tensor both = torch.cat(Tensors.vector(x, noisy(x, draws)), 0);
    Tensor activation =
        first == network
            ? network.prefix(both, layer)
            : network.prefixWithCoarse(both, layer, first, noisy).orElse(null);
    if (activation == null) {
      Tensor images = Tensors.to(both.narrow(0, n, noisy), pseudoLabelDtype());
      return new Passes(
          network.prefix(x, layer),
          Smoothing.meanOfDraws(first.forward(images), smoothing.samples()));
    }
    Tensor smoothed = activation.narrow(0, n, noisy);
    return new Passes(
        activation.narrow(0, 0, n),
        Smoothing.meanOfDraws(first.suffix(smoothed, layer), smoothing.samples()));
  }

  /** Noise [N·n_s,C,H,W] for images x, in the caller's scope; null without smoothing. */
  Tensor draws(Tensor x) {
    if (!smoothing.enabled()) {
      return null;
    }
    return noise.drawFor(x, smoothing.samples(), dtype());
  }

  /** x repeated n_s times, image by image, plus σ·v: row i·n_s + s is draw s of image i. */
  private Tensor noisy(Tensor x, Tensor draws) {
    Tensor repeated = Smoothing.forEachDraw(x, smoothing.samples());
    return repeated.add(Device.of(repeated).move(draws), new Scalar(smoothing.sigma()));
  }

  /**
   * Both passes with libtorch's operations, for any layer; differentiable where grad mode is on.
   */
  private Forward plain(Tensor x, Tensor draws) {
    Passes passes = passes(x, draws);
    Tensor z =
        passes.firstLogits() != null ? passes.firstLogits() : network.suffix(passes.clean(), layer);
    Tensor weights = torch.softmax(z.div(new Scalar(temperature)), 1);
    Tensor mask = torch.matmul(weights, maskValues);
    Tensor clean = passes.clean();
    Tensor shaped = mask.to(clean.scalar_type().intern());
    for (long d = 2; d < clean.dim(); d++) {
      shaped = shaped.unsqueeze(d);
    }
    Tensor logits =
        layer.penultimate()
            ? torch.linear(
                network.pool(clean).mul(mask),
                network.head().weight(),
                new TensorOptional(network.head().bias()))
            : network.suffix(clean.mul(shaped), layer);
    Device origin = Device.of(x);
    return new Forward(origin.move(logits), origin.move(z), origin.move(weights));
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException(name() + " is closed");
    }
  }

  /** Frees the masks. Further calls do nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Tensors.free(maskBits);
      Tensors.free(maskValues);
    }
  }
}
