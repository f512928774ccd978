package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Tensors by name, in file order. Immutable and thread-safe. */
public final class StateDict implements Iterable<HostTensor> {
  private final Map<String, HostTensor> tensors;

  /**
   * Collects tensors in order.
   *
   * @throws InputException if two have the same name
   */
  public StateDict(Collection<HostTensor> tensors) {
    Map<String, HostTensor> byName = new LinkedHashMap<>();
    for (HostTensor tensor : tensors) {
      if (byName.put(tensor.name(), tensor) != null) {
        throw new InputException("expected each tensor name once, got " + tensor.name() + " twice");
      }
    }
    this.tensors = Collections.unmodifiableMap(byName);
  }

  /** Number of tensors. */
  public int size() {
    return tensors.size();
  }

  /** Names in file order. */
  public Set<String> names() {
    return tensors.keySet();
  }

  /** Whether a tensor has this name. */
  public boolean contains(String name) {
    return tensors.containsKey(name);
  }

  /** The tensor of this name, if there is one. */
  public Optional<HostTensor> find(String name) {
    return Optional.ofNullable(tensors.get(name));
  }

  /**
   * The tensor of this name.
   *
   * @throws InputException if there is none; names some that exist
   */
  public HostTensor get(String name) {
    HostTensor tensor = tensors.get(name);
    if (tensor == null) {
      List<String> some = new ArrayList<>(tensors.keySet());
      String found =
          some.size() <= 8
              ? some.toString()
              : some.subList(0, 8) + " and " + (some.size() - 8) + " more";
      throw new InputException("expected a tensor " + name + ", found only " + found);
    }
    return tensor;
  }

  /**
   * The input normalisation that was saved with the network ({@code mean/std}, {@code mu/sigma},
   * alone or in a module {@code normalize}, {@code normalizer}, {@code normalization}, {@code
   * norm}). It is part of the model.
   *
   * @throws InputException if only one half is there, or two that differ
   */
  public Optional<InputNormalization> normalization() {
    return InputNormalization.of(this);
  }

  /** Elements in all tensors that are not batch-norm bookkeeping ({@code num_batches_tracked}). */
  public long parameterAndBufferCount() {
    long sum = 0;
    for (HostTensor tensor : this) {
      sum += tensor.name().endsWith("num_batches_tracked") ? 0 : tensor.numel();
    }
    return sum;
  }

  @Override
  public Iterator<HostTensor> iterator() {
    return tensors.values().iterator();
  }
}
