package io.github.igdefense.report;

import java.util.Map;

/** How every accuracy was checked, and what it cost: a line per classifier and attack. */
final class ChecksTable {
  private final RunReport report;

  ChecksTable(RunReport report) {
    this.report = report;
  }

  /** A caption and the table; empty if nothing is known. */
  Html html() {
    Html html = new Html();
    if (report.classifiers().stream().allMatch(c -> c.attackDetails().isEmpty())) {
      return html;
    }
    html.open("p", "class", "caption", "id", "checks-caption")
        .text(
            "Robust accuracy in per cent: as judged, as the attack reported it, and on the images"
                + " it left behind, classified once more. Largest change: of the images it broke,"
                + " in the norm of the threat model; a dash where it broke none.")
        .closeLine();
    html.scrolling("Checks, table");
    html.open("table", "class", "results", "aria-describedby", "checks-caption");
    html.open("thead").open("tr");
    for (String title :
        new String[] {"Attack", "Judged", "Reported", "Saved", "Largest change", "Time"}) {
      html.element("th", title, "scope", "col");
    }
    html.close().close().open("tbody");
    for (ClassifierResult c : report.classifiers()) {
      for (Map.Entry<String, AttackDetail> e : c.attackDetails().entrySet()) {
        AttackDetail detail = e.getValue();
        html.open("tr");
        html.element("th", c.title() + ", " + report.attackTitle(e.getKey()), "scope", "row");
        html.element("td", Numbers.percent(c.attacks().get(e.getKey())));
        html.element("td", Numbers.percent(detail.reportedAccuracy()));
        html.element("td", Numbers.percent(detail.savedAccuracy()));
        html.element(
            "td",
            detail.largestPerturbation() > 0 ? Numbers.plain(detail.largestPerturbation()) : "–");
        html.element("td", Numbers.duration(detail.seconds()));
        html.closeLine();
      }
    }
    return html.close().close().closeLine();
  }
}
