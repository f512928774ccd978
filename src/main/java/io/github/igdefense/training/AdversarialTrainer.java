package io.github.igdefense.training;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.InputException;
import io.github.igdefense.model.Checkpoint;
import io.github.igdefense.model.CheckpointReader;
import io.github.igdefense.model.Gradients;
import io.github.igdefense.model.HostTensor;
import io.github.igdefense.model.NetworkDescription;
import io.github.igdefense.model.NetworkDescription.Parameter;
import io.github.igdefense.model.Networks;
import io.github.igdefense.model.SafeTensors;
import io.github.igdefense.model.StateDict;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.NativeRuntime;
import io.github.igdefense.tensor.Rng;
import io.github.igdefense.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Adversarial training of a CIFAR ResNet-18, L∞, on the CPU, good enough for the small checkpoints
 * that this project ships.
 *
 * <p>Every epoch ends with an atomic save of weights, momenta and results in the output folder; a
 * run that finds such a save with the same settings and data goes on from it and ends with the same
 * model, as each epoch's random numbers depend on seed and epoch alone. Native memory is owned by
 * this object; close it.
 */
public final class AdversarialTrainer implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String RECORD = "igdefense.training";
  private static final int EVALUATION_BATCH = 100;
  private static final int EVALUATION_STEPS = 10;
  private static final String ARCHITECTURE = "rn18";
  private static final int IMAGE_SIZE = 32;

  private final TrainingSettings settings;
  private final ImageSet train;
  private final ImageSet test;
  private final Path folder;
  private final NetworkDescription topology;
  private final TrainingNetwork network;
  private final Map<String, Tensor> momenta = new LinkedHashMap<>();
  private final Map<String, Tensor> averages = new LinkedHashMap<>();
  private final List<Epoch> history = new ArrayList<>();

  /** What one epoch gave; accuracies in [0,1], on the first test images given. */
  public record Epoch(
      @JsonProperty("epoch") int epoch,
      @JsonProperty("loss") double loss,
      @JsonProperty("clean_accuracy") double cleanAccuracy,
      @JsonProperty("pgd10_accuracy") double pgdAccuracy,
      @JsonProperty("seconds") double seconds) {}

  /** Told after every step. */
  public interface Progress {
    /**
     * Step {@code step} of {@code steps} of an epoch (1-based) is done, with this running mean
     * loss.
     */
    void step(int epoch, int step, int steps, double loss);

    /** An epoch is done and saved. */
    void epoch(Epoch epoch);
  }

  /**
   * Prepares a run, or goes on with the one in {@code folder}.
   *
   * @param test images for the accuracies after each epoch; not used for learning
   * @throws InputException if the folder holds a run with other settings or data
   */
  public AdversarialTrainer(TrainingSettings settings, ImageSet train, ImageSet test, Path folder) {
    this.settings = settings;
    this.train = train.inMemory();
    this.test = test.inMemory().withClassCount(train.classCount());
    this.folder = folder;
    if (train.height() != IMAGE_SIZE || train.width() != IMAGE_SIZE) {
      throw new InputException(
          "expected 32x32 images for training, got " + train.height() + "x" + train.width());
    }
    if (test.height() != train.height()
        || test.width() != train.width()
        || test.channels() != train.channels()) {
      throw InputException.of(
          "expected test images of the training images' shape %dx%dx%d, got %dx%dx%d in %s",
          train.channels(),
          train.height(),
          train.width(),
          test.channels(),
          test.height(),
          test.width(),
          test.name());
    }
    if (train.size() < settings.batchSize()) {
      throw new InputException(
          "expected at least one batch of "
              + settings.batchSize()
              + " images, got "
              + train.size());
    }
    this.topology =
        Networks.describe(ARCHITECTURE, train.channels(), settings.width(), train.classCount());
    NativeRuntime.load();
    StateDict state;
    Path saved = folder.resolve("state.safetensors");
    if (Files.exists(saved)) {
      state = resume(saved);
    } else {
      state = Networks.randomState(topology, settings.seed());
    }
    this.network = new TrainingNetwork(topology, state, Dtype.parse(settings.dtype()));
    for (Parameter parameter : network.trained()) {
      HostTensor momentum = state.find("momentum." + parameter.name()).orElse(null);
      float[] values = momentum == null ? new float[numel(parameter.shape())] : momentum.toFloats();
      momenta.put(parameter.name(), Tensors.of(values, parameter.shape()));
    }
    for (Parameter parameter : topology.parameters()) {
      HostTensor average =
          state.find("average." + parameter.name()).orElse(state.get(parameter.name()));
      averages.put(parameter.name(), Tensors.of(average.toFloats(), parameter.shape()));
    }
  }

  private static int numel(long[] shape) {
    long numel = 1;
    for (long size : shape) {
      numel *= size;
    }
    return Math.toIntExact(numel);
  }

  private ObjectNode identity() {
    ObjectNode node = JSON.createObjectNode();
    node.set("settings", JSON.valueToTree(settings));
    node.put("train_data_sha256", train.sha256());
    node.put("train_images", train.size());
    return node;
  }

  private StateDict resume(Path saved) {
    Checkpoint checkpoint = CheckpointReader.read(saved);
    try {
      JsonNode root = JSON.readTree(String.valueOf(checkpoint.metadata().get(RECORD)));
      JsonNode expected = JSON.readTree(identity().toString());
      for (String key : List.of("settings", "train_data_sha256", "train_images")) {
        if (!expected.get(key).equals(root.get(key))) {
          throw new InputException(
              "expected a run with the same "
                  + key
                  + " in "
                  + folder
                  + ", got "
                  + root.get(key)
                  + " instead of "
                  + expected.get(key)
                  + "; use another --out or delete the folder");
        }
      }
      for (JsonNode epoch : root.get("epochs")) {
        history.add(JSON.treeToValue(epoch, Epoch.class));
      }
    } catch (JsonProcessingException e) {
      throw new InputException(
          "expected the record of a training run in " + saved + ": " + e.getOriginalMessage(), e);
    }
    return checkpoint.state();
  }

  /** Epochs done so far. */
  public List<Epoch> history() {
    return List.copyOf(history);
  }

  /**
   * Trains until the last epoch, and writes {@code model.safetensors} and {@code training.json}.
   */
  public void run(Progress progress) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new InputException("cannot create the folder " + folder + ": " + e.getMessage(), e);
    }
    if (history.size() >= settings.epochs()) {
      // The process may have died between the state of the last epoch and the model.
      save();
      return;
    }
    for (int epoch = history.size() + 1; epoch <= settings.epochs(); epoch++) {
      long start = System.nanoTime();
      double loss = trainEpoch(epoch, progress);
      double[] accuracies = evaluate();
      Epoch result =
          new Epoch(epoch, loss, accuracies[0], accuracies[1], (System.nanoTime() - start) / 1e9);
      history.add(result);
      save();
      progress.epoch(result);
    }
  }

  private double trainEpoch(int epoch, Progress progress) {
    int batch = settings.batchSize();
    int steps = train.size() / batch;
    long total = (long) steps * settings.epochs();
    SplittableRandom random = new SplittableRandom(settings.seed() * 1_000_003 + epoch);
    double lossSum = 0;
    try (Rng rng = new Rng(settings.seed() * 1_000_003 + epoch)) {
      int[] order = rng.permutation(train.size());
      int length = train.imageLength();
      float[] pixels = new float[batch * length];
      float[] image = new float[length];
      long[] labels = new long[batch];
      for (int step = 0; step < steps; step++) {
        for (int i = 0; i < batch; i++) {
          int index = order[step * batch + i];
          train.read(index, image, 0);
          augment(image, pixels, i * length, random);
          labels[i] = train.label(index);
        }
        double rate = settings.learningRateAt((long) (epoch - 1) * steps + step, total);
        double loss = trainStep(pixels, labels, rate, rng);
        if (!Double.isFinite(loss)) {
          throw new InputException(
              "expected a finite loss, got "
                  + loss
                  + " at epoch "
                  + epoch
                  + " step "
                  + step
                  + "; lower --learning-rate");
        }
        lossSum += loss;
        progress.step(epoch, step + 1, steps, lossSum / (step + 1));
      }
    }
    return lossSum / steps;
  }

  /** Random crop from zero padding and random flip of one image CHW. */
  private void augment(float[] image, float[] target, int offset, SplittableRandom random) {
    int size = IMAGE_SIZE;
    int pad = settings.crop();
    int dy = pad == 0 ? 0 : random.nextInt(2 * pad + 1) - pad;
    int dx = pad == 0 ? 0 : random.nextInt(2 * pad + 1) - pad;
    boolean flip = settings.flip() && random.nextBoolean();
    for (int c = 0; c < train.channels(); c++) {
      for (int y = 0; y < size; y++) {
        int sy = y + dy;
        int row = offset + (c * size + y) * size;
        for (int x = 0; x < size; x++) {
          int sx = (flip ? size - 1 - x : x) + dx;
          target[row + x] =
              sy < 0 || sy >= size || sx < 0 || sx >= size ? 0 : image[(c * size + sy) * size + sx];
        }
      }
    }
  }

  private double trainStep(float[] pixels, long[] labels, double rate, Rng rng) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode on = new AutoGradMode(true)) {
      int size = IMAGE_SIZE;
      Tensor x = Tensors.of(pixels, labels.length, train.channels(), size, size);
      Tensor y = Tensors.of(labels, labels.length);
      Tensor loss =
          switch (settings.method()) {
            case "clean" -> crossEntropy(network.forward(x, TrainingNetwork.Mode.TRAIN), y);
            case "n-fgsm" -> {
              Tensor adversarial = nFgsm(x, y, rng);
              yield crossEntropy(network.forward(adversarial, TrainingNetwork.Mode.TRAIN), y);
            }
            case "pgd" -> {
              Tensor adversarial = pgd(x, y, rng);
              yield crossEntropy(network.forward(adversarial, TrainingNetwork.Mode.TRAIN), y);
            }
            case "trades" -> trades(x, y, rng);
            default -> throw new IllegalStateException(settings.method());
          };
      TensorVector gradients = torch.grad(Tensors.vector(loss), network.trainedTensors());
      try (AutoGradMode off = new AutoGradMode(false)) {
        sgd(gradients, rate);
      }
      return loss.item_double();
    }
  }

  private static Tensor crossEntropy(Tensor logits, Tensor y) {
    return torch.cross_entropy_loss(logits, y);
  }

  private Tensor uniform(Tensor like, double radius, Rng rng) {
    return rng.uniform(Dtype.FLOAT32, Tensors.shape(like))
        .mul(new Scalar(2 * radius))
        .sub(new Scalar(radius));
  }

  private Tensor clampImage(Tensor x) {
    return torch.clamp(
        x,
        new org.bytedeco.pytorch.ScalarOptional(new Scalar(0.0)),
        new org.bytedeco.pytorch.ScalarOptional(new Scalar(1.0)));
  }

  /**
   * Noise of noise·ε, one step of the gradient's sign, no projection (de Jorge et al. 2022, Alg.
   * 1).
   */
  private Tensor nFgsm(Tensor x, Tensor y, Rng rng) {
    Tensor start =
        x.add(uniform(x, settings.noise() * settings.epsilon(), rng)).requires_grad_(true);
    Tensor loss = crossEntropy(network.forward(start, TrainingNetwork.Mode.ATTACK), y);
    Tensor gradient = Gradients.grad(loss, start, null);
    return clampImage(start.detach().add(gradient.sign().mul(new Scalar(settings.stepSize()))))
        .detach();
  }

  private Tensor pgd(Tensor x, Tensor y, Rng rng) {
    Tensor current = clampImage(x.add(uniform(x, settings.epsilon(), rng))).detach();
    return ascend(
        x,
        current,
        logits -> crossEntropy(logits, y),
        TrainingNetwork.Mode.ATTACK,
        settings.steps(),
        settings.stepSize());
  }

  private Tensor ascend(
      Tensor x,
      Tensor start,
      java.util.function.UnaryOperator<Tensor> objective,
      TrainingNetwork.Mode mode,
      int steps,
      double stepSize) {
    Tensor current = start;
    for (int i = 0; i < steps; i++) {
      Tensor point = current;
      current =
          Tensors.scoped(
              () -> {
                Tensor leaf = point.detach().requires_grad_(true);
                Tensor gradient =
                    Gradients.grad(objective.apply(network.forward(leaf, mode)), leaf, null);
                Tensor moved = point.add(gradient.sign().mul(new Scalar(stepSize)));
                Scalar eps = new Scalar(settings.epsilon());
                return clampImage(torch.max(torch.min(moved, x.add(eps)), x.sub(eps))).detach();
              });
    }
    return current;
  }

  private Tensor trades(Tensor x, Tensor y, Rng rng) {
    Tensor logits = network.forward(x, TrainingNetwork.Mode.TRAIN);
    Tensor reference = torch.softmax(logits.detach(), 1);
    Tensor start =
        clampImage(x.add(rng.normal(Dtype.FLOAT32, Tensors.shape(x)).mul(new Scalar(0.001))))
            .detach();
    Tensor adversarial =
        ascend(
            x,
            start,
            other -> divergence(other, reference),
            TrainingNetwork.Mode.ATTACK,
            settings.steps(),
            settings.stepSize());
    Tensor robust =
        divergence(
            network.forward(adversarial, TrainingNetwork.Mode.TRAIN), torch.softmax(logits, 1));
    return crossEntropy(logits, y).add(robust.mul(new Scalar(settings.beta())));
  }

  /** Mean Kullback–Leibler divergence KL(p ‖ softmax(logits)). */
  private static Tensor divergence(Tensor logits, Tensor p) {
    Tensor logP = p.add(new Scalar(1e-12)).log();
    return p.mul(logP.sub(torch.log_softmax(logits, 1))).sum().div(new Scalar(p.size(0)));
  }

  private void sgd(TensorVector gradients, double rate) {
    Scalar momentum = new Scalar(settings.momentum());
    Scalar step = new Scalar(-rate);
    Scalar decay = new Scalar(settings.weightDecay());
    List<Parameter> trained = network.trained();
    for (int i = 0; i < trained.size(); i++) {
      Parameter parameter = trained.get(i);
      Tensor weight = network.tensor(parameter.name());
      Tensor gradient = gradients.get(i);
      if (parameter.shape().length > 1) {
        gradient = gradient.add(weight, decay);
      }
      Tensor velocity = momenta.get(parameter.name());
      velocity.mul_(momentum).add_(gradient);
      weight.add_(velocity, step);
    }
    if (settings.average() > 0) {
      Scalar toward = new Scalar(1 - settings.average());
      for (Parameter parameter : topology.parameters()) {
        averages.get(parameter.name()).lerp_(network.tensor(parameter.name()), toward);
      }
    }
  }

  private StateDict model() {
    if (settings.average() == 0) {
      return network.stateDict();
    }
    List<HostTensor> copies = new ArrayList<>();
    for (Parameter parameter : topology.parameters()) {
      copies.add(
          HostTensor.of(
              parameter.name(),
              Tensors.toFloats(averages.get(parameter.name())),
              parameter.shape()));
    }
    return new StateDict(copies);
  }

  /** Clean and PGD-10 accuracy of the model on the test images. */
  private double[] evaluate() {
    int clean = 0;
    int robust = 0;
    try (TrainingNetwork frozen = new TrainingNetwork(topology, model(), Dtype.FLOAT32);
        Rng rng = new Rng(settings.seed())) {
      for (int first = 0; first < test.size(); first += EVALUATION_BATCH) {
        int n = Math.min(EVALUATION_BATCH, test.size() - first);
        float[] pixels = new float[n * test.imageLength()];
        long[] labels = new long[n];
        for (int i = 0; i < n; i++) {
          test.read(first + i, pixels, i * test.imageLength());
          labels[i] = test.label(first + i);
        }
        try (PointerScope scope = new PointerScope()) {
          int size = IMAGE_SIZE;
          Tensor x = Tensors.of(pixels, n, test.channels(), size, size);
          Tensor y = Tensors.of(labels, n);
          boolean[] cleanCorrect = correct(frozen, x, y);
          Tensor adversarial = attack(frozen, x, y, rng);
          boolean[] stillCorrect = correct(frozen, adversarial, y);
          for (int i = 0; i < n; i++) {
            clean += cleanCorrect[i] ? 1 : 0;
            robust += cleanCorrect[i] && stillCorrect[i] ? 1 : 0;
          }
        }
      }
    }
    return new double[] {(double) clean / test.size(), (double) robust / test.size()};
  }

  private static boolean[] correct(TrainingNetwork frozen, Tensor x, Tensor y) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor logits = frozen.forward(x, TrainingNetwork.Mode.EVAL);
      long[] predictions =
          Tensors.toLongs(logits.argmax(new org.bytedeco.pytorch.LongOptional(1), false));
      long[] labels = Tensors.toLongs(y);
      boolean[] correct = new boolean[labels.length];
      for (int i = 0; i < labels.length; i++) {
        correct[i] = predictions[i] == labels[i];
      }
      return correct;
    }
  }

  private Tensor attack(TrainingNetwork frozen, Tensor x, Tensor y, Rng rng) {
    double stepSize = settings.epsilon() / 4;
    Tensor current = clampImage(x.add(uniform(x, settings.epsilon(), rng)));
    for (int i = 0; i < EVALUATION_STEPS; i++) {
      Tensor point = current;
      current =
          Tensors.scoped(
              () -> {
                try (AutoGradMode on = new AutoGradMode(true)) {
                  Tensor leaf = point.detach().requires_grad_(true);
                  Tensor gradient =
                      Gradients.grad(
                          crossEntropy(frozen.forward(leaf, TrainingNetwork.Mode.EVAL), y),
                          leaf,
                          null);
                  Tensor moved = point.add(gradient.sign().mul(new Scalar(stepSize)));
                  Scalar eps = new Scalar(settings.epsilon());
                  return clampImage(torch.max(torch.min(moved, x.add(eps)), x.sub(eps))).detach();
                }
              });
    }
    return current;
  }

  private void save() {
    StateDict model = model();
    List<HostTensor> all = new ArrayList<>();
    network.stateDict().forEach(all::add);
    for (Map.Entry<String, Tensor> entry : momenta.entrySet()) {
      all.add(hostCopy("momentum." + entry.getKey(), entry.getValue()));
    }
    if (settings.average() > 0) {
      for (Map.Entry<String, Tensor> entry : averages.entrySet()) {
        all.add(hostCopy("average." + entry.getKey(), entry.getValue()));
      }
    }
    ObjectNode record = identity();
    record.put("architecture", "rn18");
    record.put("train_data", train.name());
    record.put("test_data", test.name());
    record.put("test_images", test.size());
    record.put("test_data_sha256", test.sha256());
    record.put("threads", NativeRuntime.threads());
    record.set("epochs", JSON.valueToTree(history));
    String text;
    try {
      text = JSON.writerWithDefaultPrettyPrinter().writeValueAsString(record);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    // One file holds what a resumed run needs, so that no moment of death can split it.
    SafeTensors.write(
        folder.resolve("state.safetensors"), new StateDict(all), Map.of(RECORD, record.toString()));
    SafeTensors.write(
        folder.resolve("model.safetensors"),
        model,
        Map.of("architecture", "rn18", "epochs", String.valueOf(history.size())));
    AtomicFiles.writeText(folder.resolve("training.json"), text + "\n");
  }

  private static HostTensor hostCopy(String name, Tensor tensor) {
    return HostTensor.of(name, Tensors.toFloats(tensor), Tensors.shape(tensor));
  }

  @Override
  public void close() {
    network.close();
    momenta.values().forEach(Tensors::free);
    averages.values().forEach(Tensors::free);
  }
}
