package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a network does to an image first: {@code (x − mean) / std}, per channel, x in [0,1].
 *
 * @param mean per channel, or one value for all
 * @param std per channel, or one value for all; positive
 */
public record InputNormalization(double[] mean, double[] std) {
  /** Where published checkpoints keep it: beside the network, or in a module in front of it. */
  private static final Pattern NAME =
      Pattern.compile(
          "((?:normalize|normalizer|normalization|norm)\\.)?(mean|std|mu|sigma|new_mean|new_std)");

  /**
   * Copies the values.
   *
   * @throws InputException if they differ in number, or are not finite, or a deviation is not
   *     positive
   */
  public InputNormalization {
    if (mean.length == 0 || mean.length != std.length) {
      throw new InputException(
          "expected as many means as deviations in the input normalisation, got "
              + mean.length
              + " and "
              + std.length);
    }
    for (int i = 0; i < mean.length; i++) {
      if (!Double.isFinite(mean[i]) || !Double.isFinite(std[i]) || std[i] <= 0) {
        throw new InputException(
            "expected finite means and positive deviations in the input normalisation, got "
                + Arrays.toString(mean)
                + " and "
                + Arrays.toString(std));
      }
    }
    mean = mean.clone();
    std = std.clone();
  }

  /** A fresh array. */
  @Override
  public double[] mean() {
    return mean.clone();
  }

  /** A fresh array. */
  @Override
  public double[] std() {
    return std.clone();
  }

  /** Whether a tensor of this name is part of an input normalisation. */
  static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  /**
   * The normalisation among a network's tensors.
   *
   * @throws InputException if one half is missing or there are two different ones
   */
  static Optional<InputNormalization> of(StateDict state) {
    Map<String, double[]> means = new LinkedHashMap<>();
    Map<String, double[]> deviations = new LinkedHashMap<>();
    for (HostTensor tensor : state) {
      Matcher matcher = NAME.matcher(tensor.name());
      if (matcher.matches()) {
        if (tensor.numel() > 16) {
          throw new InputException(
              "expected one value per channel in tensor '"
                  + tensor.name()
                  + "', got shape "
                  + Arrays.toString(tensor.shape()));
        }
        boolean mean = matcher.group(2).contains("m") && !matcher.group(2).equals("sigma");
        String family =
            matcher.group(2).equals("mu") || matcher.group(2).equals("sigma") ? "μ" : "";
        String key = String.valueOf(matcher.group(1)) + family;
        (mean ? means : deviations).put(key, tensor.toDoubles());
      }
    }
    if (!means.keySet().equals(deviations.keySet())) {
      throw new InputException(
          "expected a mean and a deviation in the checkpoint's input normalisation, found only one"
              + " of them among "
              + state.names().stream().filter(InputNormalization::isName).toList());
    }
    InputNormalization found = null;
    for (String key : means.keySet()) {
      InputNormalization next = new InputNormalization(means.get(key), deviations.get(key));
      if (found != null && !found.same(next)) {
        throw new InputException(
            "expected one input normalisation in the checkpoint, found two different ones: "
                + found
                + " and "
                + next);
      }
      found = next;
    }
    return Optional.ofNullable(found);
  }

  private boolean same(InputNormalization other) {
    return Arrays.equals(mean, other.mean) && Arrays.equals(std, other.std);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof InputNormalization normalization && same(normalization);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(mean) + Arrays.hashCode(std);
  }

  @Override
  public String toString() {
    return "mean " + Arrays.toString(mean) + ", std " + Arrays.toString(std);
  }
}
