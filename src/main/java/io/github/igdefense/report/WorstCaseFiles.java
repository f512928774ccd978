package io.github.igdefense.report;

import io.github.igdefense.data.AtomicFiles;
import io.github.igdefense.data.ImageSet;
import io.github.igdefense.data.NpyArray;
import io.github.igdefense.data.Npz;
import io.github.igdefense.evaluation.AttackRun;
import io.github.igdefense.evaluation.Comparison;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.evaluation.RepeatedEvaluation;
import io.github.igdefense.evaluation.WorstCase;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a comparison found, image by image, as files. Each is replaced as a whole or not at all. */
public final class WorstCaseFiles {
  private WorstCaseFiles() {}

  /** One classifier's matrix: unchanged, attacks, transfers, worst case. */
  private static Map<String, boolean[]> columns(Comparison.Row row, boolean screening) {
    WorstCase worst = row.evaluation().worstCase();
    Map<String, boolean[]> columns = new LinkedHashMap<>();
    columns.put("clean", worst.cleanCorrect());
    for (String name : worst.names()) {
      columns.put(name, worst.column(name));
    }
    columns.put(screening ? "worst_case_screening" : "worst_case", worst.robust());
    return columns;
  }

  /**
   * Writes the matrix of images and columns.
   *
   * <p>{@code worst_case.csv}: one line per image with its label and, per classifier and column, 1
   * where it is classified correctly. {@code worst_case.npz}: {@code label} int64 [N] and per
   * classifier {@code <name>} bool [N,A] in the order of the CSV's columns of that classifier;
   * {@code columns.txt} within lists them. The last column is the worst case; it is named {@code
   * worst_case_screening} where the attacks were cut short.
   */
  public static void writeMatrix(Path folder, Comparison comparison, boolean screening) {
    ImageSet images = comparison.images();
    int n = images.size();
    Map<String, boolean[]> all = new LinkedHashMap<>();
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    long[] labels = new long[n];
    for (int i = 0; i < n; i++) {
      labels[i] = images.label(i);
    }
    arrays.put("label", NpyArray.of(labels, n));
    StringBuilder names = new StringBuilder();
    for (Comparison.Row row : comparison.rows()) {
      Map<String, boolean[]> columns = columns(row, screening);
      boolean[] matrix = new boolean[n * columns.size()];
      int c = 0;
      names.append(row.name());
      for (Map.Entry<String, boolean[]> column : columns.entrySet()) {
        for (int i = 0; i < n; i++) {
          matrix[i * columns.size() + c] = column.getValue()[i];
        }
        c++;
        names.append('\t').append(column.getKey());
        all.put(row.name() + "/" + column.getKey(), column.getValue());
      }
      names.append('\n');
      arrays.put(row.name(), NpyArray.of(matrix, n, columns.size()));
    }
    Npz.write(folder.resolve("worst_case.npz"), arrays, Map.of("columns.txt", names.toString()));
    List<String> lines = new ArrayList<>();
    lines.add("image,label," + String.join(",", all.keySet()));
    for (int i = 0; i < n; i++) {
      StringBuilder line = new StringBuilder(i + "," + labels[i]);
      for (boolean[] column : all.values()) {
        line.append(column[i] ? ",1" : ",0");
      }
      lines.add(line.toString());
    }
    write(folder.resolve("worst_case.csv"), lines);
  }

  /**
   * Writes one line per classifier, image and attack or transfer: label, prediction on the
   * unchanged image, whether it is still classified correctly, prediction afterwards, highest loss
   * visited, gradients and forward passes used. Empty where an image was not attacked.
   */
  public static void writePerImage(Path file, Comparison comparison) {
    List<String> lines = header();
    for (Comparison.Row row : comparison.rows()) {
      rows(row.name(), row.evaluation(), comparison.images(), lines);
    }
    write(file, lines);
  }

  /** As {@link #writePerImage(Path, Comparison)} for one classifier. */
  public static void writePerImage(Path file, String name, Evaluation evaluation, ImageSet images) {
    List<String> lines = header();
    rows(name, evaluation, images, lines);
    write(file, lines);
  }

  private static List<String> header() {
    return new ArrayList<>(
        Collections.singleton(
            "classifier,image,label,clean_prediction,attack,made_on,robust,prediction_after,loss,"
                + "gradients,forward_passes"));
  }

  private static void rows(
      String classifier, Evaluation evaluation, ImageSet images, List<String> lines) {
    int[] clean = evaluation.clean().classes();
    boolean[] correct = evaluation.clean().correct();
    for (AttackRun run : evaluation.attacks().values()) {
      boolean[] robust = run.robust();
      int[] after = run.predictions();
      double[] loss = run.bestLoss();
      long[] gradients = run.gradientsPerImage();
      long[] queries = run.queriesPerImage();
      for (int i = 0; i < images.size(); i++) {
        String start = line(classifier, i, images.label(i), clean[i], run.plan().name());
        lines.add(
            after[i] < 0 || !correct[i]
                ? start + "," + classifier + "," + (robust[i] ? 1 : 0) + "," + clean[i] + ",,0,0"
                : String.format(
                    Locale.ROOT,
                    "%s,%s,%d,%d,%s,%d,%d",
                    start,
                    classifier,
                    robust[i] ? 1 : 0,
                    after[i],
                    Double.isFinite(loss[i]) ? Double.toString(loss[i]) : "",
                    gradients[i],
                    queries[i]));
      }
    }
    for (Map.Entry<String, RepeatedEvaluation.Judgement> e : evaluation.transfers().entrySet()) {
      boolean[] robust = e.getValue().correct();
      int[] after = e.getValue().classes();
      for (int i = 0; i < images.size(); i++) {
        lines.add(
            line(classifier, i, images.label(i), clean[i], e.getKey())
                + ",base,"
                + (robust[i] ? 1 : 0)
                + ","
                + after[i]
                + ",,0,0");
      }
    }
  }

  private static String line(String classifier, int image, int label, int clean, String attack) {
    return classifier + "," + image + "," + label + "," + clean + "," + attack;
  }

  private static void write(Path file, List<String> lines) {
    AtomicFiles.writeText(file, String.join("\n", lines) + "\n");
  }

  /**
   * Writes what an attack left behind: {@code x}, {@code y}, {@code x_adv} and {@code success}, as
   * {@code igd attack} does.
   *
   * @param asDouble keep float64 points; else float32
   */
  public static void writeAdversarial(Path file, ImageSet images, AttackRun run, boolean asDouble) {
    Map<String, NpyArray> arrays = new LinkedHashMap<>();
    arrays.put("x", pixels(images, asDouble));
    long[] labels = new long[images.size()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = images.label(i);
    }
    arrays.put("y", NpyArray.of(labels, labels.length));
    arrays.put("x_adv", pixels(run.adversarial(), asDouble));
    boolean[] success = run.success();
    arrays.put("success", NpyArray.of(success, success.length));
    Npz.write(file, arrays);
  }

  private static NpyArray pixels(ImageSet images, boolean asDouble) {
    int length = images.imageLength();
    long[] shape = {images.size(), images.channels(), images.height(), images.width()};
    int total = Math.multiplyExact(images.size(), length);
    if (asDouble) {
      double[] values = new double[total];
      for (int i = 0; i < images.size(); i++) {
        images.read(i, values, i * length);
      }
      return NpyArray.of(values, shape);
    }
    float[] values = new float[total];
    for (int i = 0; i < images.size(); i++) {
      images.read(i, values, i * length);
    }
    return NpyArray.of(values, shape);
  }
}
