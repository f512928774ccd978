package io.github.igdefense.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Option;

/** How a command speaks: results on standard output, notes and progress on standard error. */
final class Output {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int REDRAW_MILLIS = 500;

  @Option(names = "--json", description = "Print one JSON object last on standard output.")
  boolean json;

  @Option(
      names = {"-q", "--quiet"},
      description = "No notes and no progress on standard error.")
  boolean quiet;

  private final PrintStream out = System.out;
  private final PrintStream err = System.err;

  /** A line for people, on standard error. */
  void note(String text) {
    if (!quiet) {
      err.println(text);
    }
  }

  /** A warning, on standard error even when quiet. */
  void warn(String text) {
    err.println("warning: " + text);
  }

  /**
   * A line of the result: on standard output, or on standard error where that is for the JSON
   * object.
   */
  void result(String text) {
    if (!json) {
      out.println(text);
    } else if (!quiet) {
      err.println(text);
    }
  }

  /** The JSON object, when asked for. */
  void json(Object object) {
    if (json) {
      try {
        out.println(JSON.writeValueAsString(object));
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** A progress bar on a terminal; nothing elsewhere. Close it. */
  Progress progress(String task, long total) {
    boolean show = !quiet && System.console() != null;
    return new Progress(
        show
            ? new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(total)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(REDRAW_MILLIS)
                .setConsumer(new me.tongfei.progressbar.ConsoleProgressBarConsumer(err))
                .build()
            : null);
  }

  /** A progress bar, or none. */
  static final class Progress implements AutoCloseable {
    private final ProgressBar bar;

    private Progress(ProgressBar bar) {
      this.bar = bar;
    }

    void to(long done) {
      if (bar != null) {
        bar.stepTo(done);
      }
    }

    void message(String text) {
      if (bar != null) {
        bar.setExtraMessage(text);
      }
    }

    @Override
    public void close() {
      if (bar != null) {
        bar.close();
      }
    }
  }
}
