package io.github.igdefense.tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What this machine's processor is, read from {@code /proc} and {@code /sys}. */
public final class CpuTopology {
  private CpuTopology() {}

  /**
   * Physical cores among the CPUs this process may run on: hyper-threads of one core count once.
   * Falls back on the JVM's count where {@code /sys} tells nothing.
   */
  public static int physicalCores() {
    int available = Runtime.getRuntime().availableProcessors();
    Set<String> cores = new HashSet<>();
    for (int cpu : allowedCpus()) {
      Path topology = Path.of("/sys/devices/system/cpu/cpu" + cpu + "/topology/");
      try {
        cores.add(
            Files.readString(topology.resolve("physical_package_id")).trim()
                + ":"
                + Files.readString(topology.resolve("core_id")).trim());
      } catch (IOException e) {
        return available;
      }
    }
    return cores.isEmpty() ? available : Math.min(available, cores.size());
  }

  /** The processor's name, or "unknown". */
  public static String modelName() {
    return cpuInfo("model name");
  }

  /** The processor's feature flags, separated by spaces, or an empty string. */
  public static String flags() {
    String flags = cpuInfo("flags");
    return flags.equals("unknown") ? "" : flags;
  }

  private static String cpuInfo(String key) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"))) {
        int colon = line.indexOf(':');
        if (colon > 0 && line.substring(0, colon).trim().equals(key)) {
          return line.substring(colon + 1).trim();
        }
      }
    } catch (IOException e) {
      return "unknown";
    }
    return "unknown";
  }

  private static List<Integer> allowedCpus() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith("Cpus_allowed_list:")) {
          return parseCpuList(line.substring(line.indexOf(':') + 1).trim());
        }
      }
    } catch (IOException | NumberFormatException e) {
      return List.of();
    }
    return List.of();
  }

  /** Parses the kernel's list form, such as {@code 0-3,8,10-11}. */
  static List<Integer> parseCpuList(String list) {
    List<Integer> cpus = new java.util.ArrayList<>();
    for (String part : list.split(",")) {
      String[] ends = part.trim().split("-");
      int first = Integer.parseInt(ends[0]);
      int last = Integer.parseInt(ends[ends.length - 1]);
      for (int cpu = first; cpu <= last; cpu++) {
        cpus.add(cpu);
      }
    }
    return cpus;
  }
}
