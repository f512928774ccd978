package io.github.igdefense.report;

import java.util.Map;

/** What attacks are called in print, and how they work in a sentence. */
final class AttackTexts {
  private static final Map<String, String[]> TEXTS =
      Map.ofEntries(
          text("fgsm", "FGSM", "One step along the sign of the gradient of the loss."),
          text("pgd", "PGD", "Steps along the gradient of the loss from a random start."),
          text(
              "apgd-ce",
              "APGD-CE",
              "Auto-PGD on the cross-entropy: the step size halves where progress stalls."),
          text("apgd-dlr", "APGD-DLR", "Auto-PGD on the difference of logits ratio."),
          text("apgd-cw", "APGD-CW", "Auto-PGD on the Carlini-Wagner margin."),
          text(
              "apgd-t",
              "APGD-T",
              "Auto-PGD on the targeted difference of logits ratio, for several target"
                  + " classes."),
          text(
              "apgd-ce-eot",
              "APGD-CE (EoT)",
              "Auto-PGD on the cross-entropy with every gradient averaged over 20 evaluations where"
                  + " the classifier is random; elsewhere APGD-CE from another start."),
          text(
              "fab",
              "FAB",
              "Projects onto the linearised boundary of the nearest class: looks for the smallest"
                  + " change."),
          text("fab-t", "FAB-T", "FAB onto the boundary to several target classes."),
          text(
              "square",
              "Square",
              "Random search over square patches: needs the logits, no gradients."),
          text(
              "gama-pgd",
              "GAMA-PGD",
              "PGD on the margin of the probabilities, relaxed at first by their distance to the"
                  + " clean ones."),
          text(
              "rays",
              "RayS",
              "Searches for the shortest way to the boundary along corners of the cube: needs the"
                  + " predicted class alone."),
          text(
              "autoattack",
              "AutoAttack",
              "APGD-CE, APGD-T, FAB-T and Square, each on the images that are still robust."),
          text(
              "autoattack-plus",
              "AutoAttack plus",
              "APGD-CE, APGD-DLR, FAB, Square, APGD-T and FAB-T with five restarts where there are"
                  + " some, each on the images that are still robust."),
          text(
              "autoattack-rand",
              "AutoAttack rand",
              "APGD-CE and APGD-DLR with averaged gradients, for random classifiers, each on the"
                  + " images that are still robust."),
          text(
              "autoattack-custom",
              "AutoAttack, own list",
              "A cascade of chosen attacks, each on the images that are still robust."));

  private AttackTexts() {}

  private static Map.Entry<String, String[]> text(String name, String title, String text) {
    return Map.entry(name, new String[] {title, text});
  }

  /** Title and text of an attack; its name and nothing where it is not known. */
  static String[] of(String name) {
    return TEXTS.getOrDefault(name, new String[] {name, ""});
  }

  /** The title of an attack. */
  static String title(String name) {
    return of(name)[0];
  }
}
