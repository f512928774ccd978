package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The names that {@code --arch} takes, and which network each means. */
final class Architectures {
  private static final Pattern WIDE =
      Pattern.compile("(dm-)?wrn-?(\\d{1,4})[-_](\\d{1,3})(-relu)?");
  private static final int WIDE_STEM = 16;
  private static final int STEM = 64;

  private static final List<Integer> BLOCKS_18 = List.of(2, 2, 2, 2);
  private static final List<Integer> BLOCKS_50 = List.of(3, 4, 6, 3);
  private static final List<Integer> BLOCKS_101 = List.of(3, 4, 23, 3);
  private static final List<Integer> BLOCKS_152 = List.of(3, 8, 36, 3);

  /**
   * What a name asks for.
   *
   * @param blocks of each stage; null: as the tensors tell
   * @param innerFactor channels of the 3×3 convolution of a bottleneck per plane
   * @param wideFactor first stage's channels per stem channel; 0: as the tensors tell
   */
  private record Choice(
      String name,
      NetworkFamily family,
      List<Integer> blocks,
      boolean bottleneck,
      int innerFactor,
      int groups,
      int wideFactor) {

    NetworkSizes require(NetworkSizes found) {
      if (blocks == null) {
        return found;
      }
      NetworkSizes sizes = found.withBlocks(blocks, bottleneck);
      boolean wide = wideFactor == 0 || sizes.planes() == wideFactor * sizes.stem();
      if (!wide) {
        throw new InputException(
            "expected "
                + wideFactor * sizes.stem()
                + " channels in the first stage of "
                + name
                + ", got "
                + sizes.planes());
      }
      boolean same = found.bottleneck() == bottleneck;
      if (same && (sizes.groups() != groups || sizes.inner() != innerFactor * sizes.planes())) {
        throw new InputException(
            String.format(
                "expected 3x3 convolutions of %d channels in %d groups in the first stage of %s,"
                    + " got %d channels in %d groups",
                innerFactor * sizes.planes(), groups, name, sizes.inner(), sizes.groups()));
      }
      return sizes;
    }

    boolean fits(NetworkFamily otherFamily, NetworkSizes sizes) {
      return family == otherFamily
          && blocks.equals(sizes.blocks())
          && bottleneck == sizes.bottleneck()
          && sizes.groups() == groups
          && sizes.inner() == innerFactor * sizes.planes();
    }
  }

  private static final Map<String, Choice> NAMED = new LinkedHashMap<>();

  static {
    resNets("", NetworkFamilies.CIFAR_RESNET, "");
    resNets("preact-", NetworkFamilies.PREACT_RESNET, "");
    resNets("preact-", NetworkFamilies.PREACT_RESNET_RAW, "-raw-shortcut");
    add("dm-preact-rn18", NetworkFamilies.DM_PREACT_RESNET, BLOCKS_18, false, 1, 1);
    add("dm-preact-rn34", NetworkFamilies.DM_PREACT_RESNET, BLOCKS_50, false, 1, 1);
    add("dm-preact-rn18-relu", NetworkFamilies.DM_PREACT_RESNET_RELU, BLOCKS_18, false, 1, 1);
    add("dm-preact-rn34-relu", NetworkFamilies.DM_PREACT_RESNET_RELU, BLOCKS_50, false, 1, 1);
    resNets("imagenet-", NetworkFamilies.IMAGENET_RESNET, "");
    add("imagenet-wrn50-2", NetworkFamilies.IMAGENET_RESNET, BLOCKS_50, true, 2, 1);
    add("imagenet-wrn101-2", NetworkFamilies.IMAGENET_RESNET, BLOCKS_101, true, 2, 1);
    add("resnext50-32x4d", NetworkFamilies.IMAGENET_RESNET, BLOCKS_50, true, 2, 32);
    add("resnext101-32x8d", NetworkFamilies.IMAGENET_RESNET, BLOCKS_101, true, 4, 32);
  }

  private Architectures() {}

  private static void resNets(String prefix, NetworkFamily family, String suffix) {
    add(prefix + "rn18" + suffix, family, BLOCKS_18, false, 1, 1);
    add(prefix + "rn34" + suffix, family, BLOCKS_50, false, 1, 1);
    add(prefix + "rn50" + suffix, family, BLOCKS_50, true, 1, 1);
    add(prefix + "rn101" + suffix, family, BLOCKS_101, true, 1, 1);
    add(prefix + "rn152" + suffix, family, BLOCKS_152, true, 1, 1);
  }

  private static void add(
      String name,
      NetworkFamily family,
      List<Integer> blocks,
      boolean bottleneck,
      int innerFactor,
      int groups) {
    NAMED.put(name, new Choice(name, family, blocks, bottleneck, innerFactor, groups, 0));
  }

  /** Every fixed name, with {@code DEPTH-WIDTH} for numbers, and the generic names of families. */
  static List<String> names() {
    List<String> names = new ArrayList<>(NAMED.keySet());
    names.addAll(List.of("wrn-DEPTH-WIDTH", "dm-wrn-DEPTH-WIDTH[-relu]"));
    NetworkFamilies.ALL.forEach(family -> names.add(family.name()));
    names.add(Networks.AUTO);
    return List.copyOf(names);
  }

  /**
   * Checks a name.
   *
   * @throws InputException listing the names there are
   */
  static void check(String name) {
    if (!name.equals(Networks.AUTO)) {
      choose(name);
    }
  }

  private static Choice choose(String name) {
    Choice named = NAMED.get(name);
    if (named != null) {
      return named;
    }
    for (NetworkFamily family : NetworkFamilies.ALL) {
      if (family.name().equals(name)) {
        return new Choice(name, family, null, false, 1, 1, 0);
      }
    }
    Matcher wide = WIDE.matcher(name);
    if (wide.matches() && (wide.group(4) == null || wide.group(1) != null)) {
      int depth = Integer.parseInt(wide.group(2));
      int factor = Integer.parseInt(wide.group(3));
      if (depth < 10 || depth % 6 != 4 || factor < 1) {
        throw new InputException(
            "expected a wide ResNet of depth 6n+4 (10, 16, 22, 28, 34, 70, ...) and width of at"
                + " least 1, got '"
                + name
                + "'");
      }
      NetworkFamily family =
          wide.group(1) == null
              ? NetworkFamilies.WRN
              : wide.group(4) == null ? NetworkFamilies.DM_WRN : NetworkFamilies.DM_WRN_RELU;
      int n = (depth - 4) / 6;
      return new Choice(name, family, List.of(n, n, n), false, 1, 1, factor);
    }
    throw new InputException("expected an architecture of " + names() + ", got '" + name + "'");
  }

  /**
   * The network of a name with the sizes that the tensors tell.
   *
   * @throws InputException for an unknown name, or tensors that are not of that architecture
   */
  static NetworkDescription describe(String name, StateDict state) {
    if (name.equals(Networks.AUTO)) {
      return only(state);
    }
    Choice choice = choose(name);
    return describe(choice.family(), choice.require(choice.family().sizes(state)));
  }

  private static NetworkDescription describe(NetworkFamily family, NetworkSizes sizes) {
    return family.describe(canonical(family, sizes), sizes);
  }

  /**
   * The network of a full name at given sizes.
   *
   * @param stem channels of the first convolution; 0 for the published
   * @throws InputException for an unknown name, or one that leaves the depth open
   */
  static NetworkDescription describe(String name, int inputChannels, int stem, int classCount) {
    Choice choice = choose(name);
    if (choice.blocks() == null) {
      throw new InputException(
          "expected an architecture with its depth, such as rn18 or wrn-34-10, got '" + name + "'");
    }
    boolean wide = choice.wideFactor() > 0;
    int width = stem > 0 ? stem : wide ? WIDE_STEM : STEM;
    int planes = wide ? width * choice.wideFactor() : width;
    NetworkFamily family = choice.family();
    return describe(
        family,
        new NetworkSizes(
            inputChannels,
            width,
            planes,
            choice.bottleneck(),
            planes * choice.innerFactor(),
            choice.groups(),
            choice.blocks(),
            family.names().tail() != null && !family.optionalTail(),
            classCount));
  }

  private static String canonical(NetworkFamily family, NetworkSizes sizes) {
    boolean wide = family.stages() == 3;
    boolean even = sizes.blocks().stream().distinct().count() == 1;
    if (wide && even && !sizes.bottleneck() && sizes.planes() % sizes.stem() == 0) {
      String base = family.name().replace("-relu", "");
      String suffix = family.name().endsWith("-relu") ? "-relu" : "";
      return base + "-" + sizes.wideDepth() + "-" + sizes.wideFactor() + suffix;
    }
    return NAMED.values().stream()
        .filter(choice -> choice.fits(family, sizes))
        .map(Choice::name)
        .findFirst()
        .orElse(family.name());
  }

  private static NetworkDescription only(StateDict state) {
    List<String> reasons = new ArrayList<>();
    List<Networks.Candidate> candidates = identify(state, reasons);
    if (candidates.size() == 1) {
      return candidates.get(0).description();
    }
    if (candidates.isEmpty()) {
      throw new InputException(
          "expected the tensors of an architecture that is known, found none"
              + (reasons.isEmpty()
                  ? "; first tensors: "
                      + String.join(", ", state.names().stream().limit(5).toList())
                  : ": " + String.join("; ", reasons)));
    }
    throw new InputException(
        "expected tensors that tell their architecture, these fit "
            + candidates.stream()
                .map(candidate -> candidate.architecture() + " (" + candidate.reason() + ")")
                .collect(Collectors.joining(" and "))
            + "; name one with --arch");
  }

  /**
   * The architectures that a state dict's tensors fit.
   *
   * @param problems receives why a family whose names are there does not fit
   */
  static List<Networks.Candidate> identify(StateDict state, List<String> problems) {
    List<Networks.Candidate> candidates = new ArrayList<>();
    for (NetworkFamily family : NetworkFamilies.ALL) {
      if (!family.recognises(state)) {
        continue;
      }
      try {
        NetworkSizes sizes = family.sizes(state);
        NetworkDescription net = describe(family, sizes);
        StateDictCheck.of(net, state);
        // Published networks with a final norm all take the shortcut after the activation.
        boolean published = !(family == NetworkFamilies.PREACT_RESNET_RAW && sizes.tail());
        if (published) {
          candidates.add(new Networks.Candidate(net, reason(family, sizes, net)));
        }
      } catch (InputException e) {
        problems.add(e.getMessage());
      }
    }
    return List.copyOf(candidates);
  }

  private static String reason(NetworkFamily family, NetworkSizes sizes, NetworkDescription net) {
    StringBuilder text = new StringBuilder("names of " + family.name() + ", ");
    text.append(sizes.blocks().stream().map(String::valueOf).collect(Collectors.joining("+")));
    text.append(sizes.bottleneck() ? " bottlenecks" : " basic blocks");
    if (sizes.groups() > 1) {
      text.append(" of ").append(sizes.groups()).append(" groups");
    }
    text.append(", first stage of ").append(net.stages().get(0).units()).append(" units, ");
    text.append(sizes.classCount()).append(" classes");
    if (family.preActivation() && family.shortcut().atStride() && !family.samePadding()) {
      text.append(", shortcut convolutions ")
          .append(family.shortcut().raw() ? "before" : "after")
          .append(" batch normalisation and ReLU");
    }
    if (family.samePadding()) {
      text.append(", ").append(family.activation()).append(" assumed");
    }
    return text.toString();
  }

  /** The names of fitting architectures as a hint behind an error; empty if there are none. */
  static String hint(StateDict state) {
    List<Networks.Candidate> candidates = identify(state, new ArrayList<>());
    return candidates.isEmpty()
        ? ""
        : "; its tensors fit "
            + candidates.stream()
                .map(Networks.Candidate::architecture)
                .collect(Collectors.joining(" or "));
  }

  /** The normalisation of the network: given, else the file's, else the family's, with a note. */
  static Optional<InputNormalization> normalization(
      String given, NetworkDescription net, StateDict state, List<String> notes) {
    if (!given.equals(InputNormalizations.AUTO)) {
      return InputNormalizations.parse(given);
    }
    Optional<InputNormalization> saved = state.normalization();
    if (saved.isPresent()) {
      return saved;
    }
    net.normalization()
        .ifPresent(
            own ->
                notes.add(
                    "the checkpoint holds no input normalisation; that of "
                        + net.architecture()
                        + " is used: "
                        + own));
    return net.normalization();
  }
}
