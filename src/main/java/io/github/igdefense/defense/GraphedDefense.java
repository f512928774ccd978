package io.github.igdefense.defense;

import io.github.igdefense.model.Classifier;
import io.github.igdefense.tensor.CudaGraph;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Tensors;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The defended forward pass as a CUDA graph per shape of batch: the same values as {@link
 * IgDefense#logits}, with one launch in place of about a hundred. Where a shape cannot be recorded,
 * and on the processor, it computes as {@link IgDefense} does; a warning says so once.
 *
 * <p>Noise of the smoothed pass is drawn afresh for every call, as without graphs. Owns the graphs
 * and their memory until {@link #close}; the defense is not owned. Calls are done one after
 * another.
 */
public final class GraphedDefense implements Classifier, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(GraphedDefense.class);

  private final IgDefense defense;
  private final Map<List<Long>, Recorded> byShape = new HashMap<>();
  private String failure;

  /**
   * @param defense not owned, must stay open
   */
  public GraphedDefense(IgDefense defense) {
    this.defense = defense;
  }

  /** Images and noise are copied in, logits come out. */
  private record Recorded(CudaGraph graph, Tensor images, Tensor noise, Tensor logits) {}

  @Override
  public String name() {
    return defense.name();
  }

  @Override
  public int classCount() {
    return defense.classCount();
  }

  @Override
  public Dtype dtype() {
    return defense.dtype();
  }

  @Override
  public boolean deterministic() {
    return defense.deterministic();
  }

  /** Why shapes are not recorded, or null as long as they are. */
  public synchronized String failure() {
    return failure;
  }

  @Override
  public synchronized Tensor logits(Tensor x) {
    Recorded recorded = recorded(x);
    if (recorded == null) {
      return defense.logits(x);
    }
    return Tensors.scoped(
        () -> {
          recorded.images.copy_(x);
          if (recorded.noise != null) {
            recorded.noise.copy_(defense.draws(x));
          }
          recorded.graph.replay();
          return Device.of(x).move(recorded.logits.clone());
        });
  }

  private Recorded recorded(Tensor x) {
    Device device = defense.network().device();
    if (!device.isCuda() || failure != null) {
      return null;
    }
    List<Long> shape = Arrays.stream(Tensors.shape(x)).boxed().toList();
    Recorded known = byShape.get(shape);
    if (known == null) {
      try {
        known = record(device, x);
        byShape.put(shape, known);
      } catch (RuntimeException e) {
        failure = e.getMessage();
        LOG.warn("computing without CUDA graphs: {}", failure);
      }
    }
    return known;
  }

  private Recorded record(Device device, Tensor x) {
    Tensor[] kept = new Tensor[3];
    boolean done = false;
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      kept[0] = Tensors.keep(device.move(x).clone());
      Tensor draws = defense.draws(x);
      kept[1] = draws == null ? null : Tensors.keep(device.move(draws).clone());
      CudaGraph graph =
          CudaGraph.capture(
              device,
              () -> {
                // The last run, the recorded one, is what stays.
                Tensors.free(kept[2]);
                kept[2] = Tensors.keep(defense.forward(kept[0], kept[1]).logits());
              });
      done = true;
      return new Recorded(graph, kept[0], kept[1], kept[2]);
    } finally {
      if (!done) {
        Arrays.stream(kept).forEach(Tensors::free);
      }
    }
  }

  /** Frees the graphs. Further calls do nothing. */
  @Override
  public synchronized void close() {
    for (Recorded recorded : byShape.values()) {
      recorded.graph.close();
      Tensors.free(recorded.images);
      Tensors.free(recorded.noise);
      Tensors.free(recorded.logits);
    }
    byShape.clear();
  }
}
