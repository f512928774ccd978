package io.github.igdefense.report;

import java.util.List;

/** Images before and after an attack, with their difference. */
final class Gallery {
  private final RunReport report;

  Gallery(RunReport report) {
    this.report = report;
  }

  /** The section's content; empty without images. */
  Html html() {
    Html html = new Html();
    if (report.gallery().isEmpty()) {
      return html;
    }
    int factor = differenceFactor(report.gallery());
    html.open("p").text("Each row of three: the image, the image after the attack, and ");
    html.element("strong", "their difference ×" + factor).text(" (mid-grey means unchanged).");
    html.text(
        " Clean and Attacked say what " + report.baseResult().title() + " sees in the first two");
    boolean defended =
        report.gallery().stream().anyMatch(item -> item.defendedPrediction() != null);
    html.text(
        defended ? "; Defended, what the defended classifier sees in the attacked image" : "");
    boolean pseudo = report.gallery().stream().anyMatch(item -> item.pseudoLabel() != null);
    html.text(pseudo ? "; Pseudo-label, the class its mask was chosen for." : ".").close();
    html.open("div", "class", "gallery");
    report.gallery().forEach(item -> item(html, item, factor));
    return html.close();
  }

  /** The largest whole factor at which no difference is clipped, 1 to 100; 1 without pictures. */
  static int differenceFactor(List<GalleryItem> items) {
    float largest = 0;
    for (GalleryItem item : items) {
      if (item.drawable()) {
        for (int i = 0; i < item.clean().pixels().length; i++) {
          largest =
              Math.max(
                  largest, Math.abs(item.adversarial().pixels()[i] - item.clean().pixels()[i]));
        }
      }
    }
    return largest > 0 ? (int) Math.max(1, Math.min(100, Math.floor(0.5 / largest + 1e-3))) : 1;
  }

  private void item(Html html, GalleryItem item, int factor) {
    html.open("figure");
    if (item.drawable()) {
      html.open("div", "class", "triple");
      String name = "image " + item.index() + ", " + item.trueClass();
      picture(html, item.clean(), Png.of(item.clean()), "Clean: " + name);
      picture(
          html,
          item.clean(),
          Png.of(item.adversarial()),
          "Attacked by " + report.attackTitle(item.attack()) + ": " + name);
      picture(
          html,
          item.clean(),
          Png.difference(item.clean(), item.adversarial(), factor),
          "Difference ×" + factor + ": " + name);
      html.close();
    }
    html.open("figcaption").open("span", "class", "item-title").element("b", item.trueClass());
    html.element(
        "span", "no. " + Numbers.count(item.index()) + ", " + report.attackTitle(item.attack()));
    html.close().open("dl");
    seen(html, "Clean", item.cleanPrediction(), item.trueClass());
    seen(html, "Attacked", item.adversarialPrediction(), item.trueClass());
    seen(html, "Defended", item.defendedPrediction(), item.trueClass());
    seen(html, "Pseudo-label", item.pseudoLabel(), item.trueClass());
    html.close().close().closeLine();
  }

  private static void picture(Html html, Picture shape, String uri, String alt) {
    html.open(
        "img", "alt", alt, "width", "" + shape.width(), "height", "" + shape.height(), "src", uri);
  }

  private static void seen(Html html, String who, String what, String truth) {
    if (what == null) {
      return;
    }
    boolean right = what.equals(truth);
    html.open("div", "class", right ? "right" : "wrong").element("dt", who).open("dd");
    html.element("span", right ? "✓" : "✗", "class", "tick", "aria-hidden", "true").text(what);
    html.element("span", right ? " (right)" : " (wrong)", "class", "hidden").close().close();
  }
}
