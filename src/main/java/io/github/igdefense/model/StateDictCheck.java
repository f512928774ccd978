package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.model.NetworkDescription.Parameter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * What came of comparing the tensors of a file with those of a network.
 *
 * @param warnings tensors that the network has no use for; empty if there are none
 * @param notes tensors that published files are known to carry without use
 */
record StateDictCheck(List<String> warnings, List<String> notes) {
  private static final int NAMED = 4;

  /** Copies the lists. */
  StateDictCheck {
    warnings = List.copyOf(warnings);
    notes = List.copyOf(notes);
  }

  /**
   * Checks that every tensor of the network is there in its shape, and that the blocks hold no
   * others.
   *
   * @throws InputException naming the first tensors that are missing, of another shape, or too many
   *     in a stage (a deeper network)
   */
  static StateDictCheck of(NetworkDescription net, StateDict state) {
    List<String> missing = new ArrayList<>();
    List<String> shapes = new ArrayList<>();
    Set<String> known = new HashSet<>();
    for (Parameter parameter : net.parameters()) {
      known.add(parameter.name());
      HostTensor tensor = state.find(parameter.name()).orElse(null);
      if (tensor == null) {
        missing.add(parameter.name() + " " + Arrays.toString(parameter.shape()));
      } else if (!Arrays.equals(tensor.shape(), parameter.shape())) {
        shapes.add(
            "'"
                + parameter.name()
                + "' of shape "
                + Arrays.toString(parameter.shape())
                + ", got "
                + Arrays.toString(tensor.shape()));
      }
    }
    if (!missing.isEmpty()) {
      throw new InputException(
          "expected "
              + known.size()
              + " tensors of "
              + net.architecture()
              + ", "
              + missing.size()
              + " are missing: "
              + some(missing));
    }
    if (!shapes.isEmpty()) {
      throw new InputException(
          "expected tensor "
              + shapes.get(0)
              + " ("
              + net.architecture()
              + (shapes.size() > 1 ? "; " + (shapes.size() - 1) + " more differ" : "")
              + ")");
    }
    return unexpected(net, state, known);
  }

  private static StateDictCheck unexpected(
      NetworkDescription net, StateDict state, Set<String> known) {
    List<String> extra = new ArrayList<>();
    List<String> tooDeep = new ArrayList<>();
    int[] ignored = new int[net.ignored().size()];
    for (String name : state.names()) {
      if (known.contains(name)
          || name.endsWith("num_batches_tracked")
          || InputNormalization.isName(name)) {
        continue;
      }
      int prefix = prefix(net.ignored(), name);
      if (prefix >= 0) {
        ignored[prefix]++;
      } else if (net.stages().stream().anyMatch(stage -> name.startsWith(stage.name() + "."))) {
        tooDeep.add(name);
      } else {
        extra.add(name);
      }
    }
    if (!tooDeep.isEmpty()) {
      throw new InputException(
          "expected no tensor '"
              + tooDeep.get(0)
              + "' in "
              + net.architecture()
              + ", but the checkpoint has it"
              + (tooDeep.size() > 1 ? " and " + (tooDeep.size() - 1) + " more of its stages" : "")
              + "; it may be of another or deeper network");
    }
    List<String> notes = new ArrayList<>();
    for (int i = 0; i < ignored.length; i++) {
      if (ignored[i] > 0) {
        notes.add(
            ignored[i]
                + " tensors "
                + net.ignored().get(i)
                + "* left out: the published code saves them but never uses them");
      }
    }
    List<String> warnings = new ArrayList<>();
    if (!extra.isEmpty()) {
      warnings.add(
          extra.size()
              + (extra.size() == 1 ? " tensor that " : " tensors that ")
              + net.architecture()
              + " has no use for left out: "
              + some(extra));
    }
    return new StateDictCheck(warnings, notes);
  }

  private static int prefix(List<String> prefixes, String name) {
    for (int i = 0; i < prefixes.size(); i++) {
      if (name.startsWith(prefixes.get(i))) {
        return i;
      }
    }
    return -1;
  }

  private static String some(List<String> names) {
    return names.size() <= NAMED
        ? String.join(", ", names)
        : String.join(", ", names.subList(0, NAMED)) + " and " + (names.size() - NAMED) + " more";
  }
}
