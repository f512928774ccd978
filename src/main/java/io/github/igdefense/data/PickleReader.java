package io.github.igdefense.data;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads Python pickles that are not trusted, protocols 0 to 5.
 *
 * <p>Nothing is executed: an import is handed by name to {@link Imports}, which knows a fixed list
 * and returns data or a {@link Function} of ours; everything else is refused by name before an
 * argument is looked at. Work and memory are bounded by the length of the stream and a count of
 * operations. One instance reads consecutive pickles; it is for one thread.
 *
 * <p>Values become {@link Long} (or {@link BigInteger}), {@link Double}, {@link Boolean}, {@link
 * String} (Python 2 strings as Latin-1), {@code byte[]}, {@code null}, {@link ArrayList} for lists,
 * an unmodifiable list for tuples, {@link LinkedHashMap} for dictionaries and {@link LinkedHashSet}
 * for sets. They may share and contain each other.
 */
public final class PickleReader {
  /** What a pickle may import and refer to. */
  public interface Imports {
    /** The value of {@code module.name}, or null to refuse it. */
    Object find(String module, String name);

    /** The object of a persistent id. */
    Object persistent(Object id);
  }

  /** An importable function or class that a pickle may call. */
  @FunctionalInterface
  public interface Function {
    /** Returns the result; throws {@link InputException} for arguments that do not fit. */
    Object call(List<Object> arguments);
  }

  /** An object that takes a state after its construction. */
  @FunctionalInterface
  public interface Buildable {
    /** Takes the state. */
    void build(Object state);
  }

  /** With {@link #viewing}, byte strings longer than this are {@link Bytes} within the file. */
  static final int VIEW_ABOVE = 1 << 16;

  private static final int MAX_LINE = 1 << 16;
  private static final int MAX_INTEGER_BYTES = 512;

  private final Bytes file;
  private final String label;
  private final Imports imports;
  private final long maxOperations;
  private long at;
  private List<Object> stack;
  private Deque<List<Object>> outer;
  private Map<Long, Object> memo;
  private boolean views;

  /**
   * Prepares to read.
   *
   * @param start position of the first pickle
   * @param label how messages name the file
   * @param maxOperations operations after which a pickle is refused; each makes at most one object
   */
  public PickleReader(Bytes file, long start, String label, Imports imports, long maxOperations) {
    this.file = file;
    this.at = start;
    this.label = label;
    this.imports = imports;
    this.maxOperations = maxOperations;
  }

  /**
   * From now on gives byte strings of more than 64 KiB (and long strings of Python 2) as {@link
   * Bytes} that share the file's memory.
   */
  PickleReader viewing() {
    views = true;
    return this;
  }

  /** Position after the last pickle read. */
  public long position() {
    return at;
  }

  /**
   * Reads the next pickle.
   *
   * @throws InputException if it is damaged, imports something not allowed, or is too large
   */
  public Object read() {
    stack = new ArrayList<>();
    outer = new ArrayDeque<>();
    memo = new HashMap<>();
    for (long operation = 0; operation < maxOperations; operation++) {
      int code = unsignedByte();
      if (code == '.') {
        Object result = pop();
        stack = null;
        outer = null;
        memo = null;
        return result;
      }
      execute(code);
    }
    throw bad("it has more than " + maxOperations + " operations");
  }

  private void execute(int code) {
    switch (code) {
      case 0x80 -> {
        if (unsignedByte() > 5) {
          throw bad("its protocol is newer than 5");
        }
      }
      case 0x95 -> skip(8); // FRAME
      case '(' -> {
        outer.push(stack);
        stack = new ArrayList<>(4);
      }
      case '0' -> {
        if (stack.isEmpty()) {
          popMark();
        } else {
          pop();
        }
      }
      case '1' -> popMark();
      case '2' -> push(top());
      case 'N' -> push(null);
      case 0x88 -> push(true);
      case 0x89 -> push(false);
      case 'I' -> push(integerLine());
      case 'J' -> push((long) intValue());
      case 'K' -> push((long) unsignedByte());
      case 'M' -> push((long) (unsignedByte() | unsignedByte() << 8));
      case 'L' -> {
        String line = line();
        push(integer(line.endsWith("L") ? line.substring(0, line.length() - 1) : line));
      }
      case 0x8a -> push(binaryInteger(unsignedByte()));
      case 0x8b -> push(binaryInteger(intValue()));
      case 'F' -> push(floatLine());
      case 'G' -> push(Double.longBitsToDouble(Long.reverseBytes(longValue())));
      case 'S' -> push(quotedLine());
      case 'T' -> {
        int length = intValue();
        push(views && length > VIEW_ABOVE ? view(length) : text(length, false));
      }
      case 'U' -> push(text(unsignedByte(), false));
      case 'V' -> push(rawUnicode(line()));
      case 'X' -> push(text(intValue() & 0xffffffffL, true));
      case 0x8c -> push(text(unsignedByte(), true));
      case 0x8d -> push(text(longValue(), true));
      case 'B' -> push(byteString(intValue() & 0xffffffffL));
      case 'C' -> push(bytes(unsignedByte()));
      case 0x8e, 0x96 -> push(byteString(longValue()));
      case ']' -> push(new ArrayList<>(0));
      case '}' -> push(new LinkedHashMap<>(0));
      case ')' -> push(List.of());
      case 0x8f -> push(new LinkedHashSet<>(0));
      case 'l' -> push(popMark());
      case 'd' -> {
        List<Object> items = popMark();
        push(setItems(new LinkedHashMap<>(), items));
      }
      case 't' -> push(tuple(popMark()));
      case 0x91 -> push(addItems(new LinkedHashSet<>(), popMark()));
      case 0x85 -> push(tuple(popLast(1)));
      case 0x86 -> push(tuple(popLast(2)));
      case 0x87 -> push(tuple(popLast(3)));
      case 'a' -> {
        Object item = pop();
        list(top()).add(item);
      }
      case 'e' -> {
        List<Object> items = popMark();
        list(top()).addAll(items);
      }
      case 's' -> {
        List<Object> items = popLast(2);
        setItems(map(top()), items);
      }
      case 'u' -> {
        List<Object> items = popMark();
        setItems(map(top()), items);
      }
      case 0x90 -> {
        List<Object> items = popMark();
        if (!(top() instanceof LinkedHashSet)) {
          throw bad("it adds to something that is no set");
        }
        @SuppressWarnings("unchecked")
        LinkedHashSet<Object> set = (LinkedHashSet<Object>) top();
        addItems(set, items);
      }
      case 'p' -> memo.put(memoLine(), top());
      case 'q' -> memo.put((long) unsignedByte(), top());
      case 'r' -> memo.put(intValue() & 0xffffffffL, top());
      case 0x94 -> memo.put((long) memo.size(), top());
      case 'g' -> push(recall(memoLine()));
      case 'h' -> push(recall(unsignedByte()));
      case 'j' -> push(recall(intValue() & 0xffffffffL));
      case 'c' -> push(find(line(), line()));
      case 0x93 -> {
        List<Object> names = popLast(2);
        if (!(names.get(0) instanceof String module) || !(names.get(1) instanceof String name)) {
          throw bad("it imports something without a name");
        }
        push(find(module, name));
      }
      case 'i' -> {
        String module = line();
        throw refused(module, line());
      }
      case 'R', 0x81 -> call();
      case 'b' -> build();
      case 'P' -> push(imports.persistent(line()));
      case 'Q' -> push(imports.persistent(pop()));
      default ->
          throw bad(
              String.format("operation 0x%02x at byte %d is unknown or not allowed", code, at - 1));
    }
  }

  private Object find(String module, String name) {
    Object value = imports.find(module, name);
    if (value == null) {
      throw refused(module, name);
    }
    return value;
  }

  private InputException refused(String module, String name) {
    return new InputException(
        "refused "
            + label
            + ": its pickle imports '"
            + ZipArchive.printable(module + "." + name)
            + "', and only tensors, containers, numbers and strings are rebuilt; nothing was"
            + " executed. If you trust the file, load it in Python and save only the state dict or"
            + " arrays");
  }

  private void call() {
    Object arguments = pop();
    Object callee = pop();
    if (!(callee instanceof Function function) || !(arguments instanceof List<?> list)) {
      throw bad("it calls something that is no function");
    }
    push(function.call(Collections.unmodifiableList(list)));
  }

  private void build() {
    Object state = pop();
    Object object = top();
    if (object instanceof Buildable buildable) {
      buildable.build(state);
    } else if (!(object instanceof LinkedHashMap)) {
      // Attributes of a dictionary (_metadata of a state dict) carry nothing that we need.
      throw bad("it sets attributes of something that has none");
    }
  }

  private LinkedHashMap<Object, Object> setItems(
      LinkedHashMap<Object, Object> map, List<Object> items) {
    if (items.size() % 2 != 0) {
      throw bad("a dictionary has a key without a value");
    }
    for (int i = 0; i < items.size(); i += 2) {
      Object key = checkedKey(items.get(i));
      if (map.containsKey(key)) {
        throw bad(
            "a dictionary has the key " + ZipArchive.printable(String.valueOf(key)) + " twice");
      }
      map.put(key, items.get(i + 1));
    }
    return map;
  }

  private Set<Object> addItems(Set<Object> set, List<Object> items) {
    for (Object item : items) {
      set.add(checkedKey(item));
    }
    return set;
  }

  /** Keys whose hash takes bounded work: scalars and tuples of scalars. */
  private Object checkedKey(Object key) {
    if (isScalar(key)) {
      return key;
    }
    if (key instanceof List<?> tuple && !(key instanceof ArrayList) && tuple.size() <= 16) {
      for (Object item : tuple) {
        if (!isScalar(item)) {
          throw bad("a dictionary key is a nested container");
        }
      }
      return key;
    }
    throw bad("a dictionary key is neither a number nor text nor a short tuple of them");
  }

  private static boolean isScalar(Object value) {
    return value == null
        || value instanceof String
        || value instanceof Number
        || value instanceof Boolean;
  }

  @SuppressWarnings("unchecked")
  private ArrayList<Object> list(Object value) {
    if (value instanceof ArrayList) {
      return (ArrayList<Object>) value;
    }
    throw bad("it appends to something that is no list");
  }

  @SuppressWarnings("unchecked")
  private LinkedHashMap<Object, Object> map(Object value) {
    if (value instanceof LinkedHashMap) {
      return (LinkedHashMap<Object, Object>) value;
    }
    throw bad("it puts items into something that is no dictionary");
  }

  private static List<Object> tuple(List<Object> items) {
    return Collections.unmodifiableList(Arrays.asList(items.toArray()));
  }

  private void push(Object value) {
    stack.add(value);
  }

  private Object pop() {
    if (stack.isEmpty()) {
      throw bad("it takes a value where there is none");
    }
    return stack.remove(stack.size() - 1);
  }

  private Object top() {
    if (stack.isEmpty()) {
      throw bad("it takes a value where there is none");
    }
    return stack.get(stack.size() - 1);
  }

  private List<Object> popLast(int count) {
    if (stack.size() < count) {
      throw bad("it takes a value where there is none");
    }
    List<Object> tail = stack.subList(stack.size() - count, stack.size());
    List<Object> items = new ArrayList<>(tail);
    tail.clear();
    return items;
  }

  private List<Object> popMark() {
    if (outer.isEmpty()) {
      throw bad("it closes a group that was not opened");
    }
    List<Object> items = stack;
    stack = outer.pop();
    return items;
  }

  private Object recall(long key) {
    Object value = memo.get(key);
    if (value == null && !memo.containsKey(key)) {
      throw bad("it refers to value " + key + " that it did not store");
    }
    return value;
  }

  private long memoLine() {
    Object value = integer(line());
    if (value instanceof Long key) {
      return key;
    }
    throw bad("a memo index is too large");
  }

  private Object integerLine() {
    String line = line();
    return switch (line) {
      case "00" -> false;
      case "01" -> true;
      default -> integer(line);
    };
  }

  private Object integer(String digits) {
    try {
      if (digits.length() <= 18) {
        return Long.parseLong(digits);
      }
      if (digits.length() <= 1000) {
        return narrow(new BigInteger(digits));
      }
    } catch (NumberFormatException e) {
      // reported below
    }
    throw bad("a number cannot be read: " + ZipArchive.printable(digits));
  }

  private Object binaryInteger(int length) {
    if (length < 0 || length > MAX_INTEGER_BYTES) {
      throw bad("an integer has " + (length & 0xffffffffL) + " bytes");
    }
    byte[] little = bytes(length);
    byte[] big = new byte[Math.max(1, length)];
    for (int i = 0; i < length; i++) {
      big[length - 1 - i] = little[i];
    }
    return narrow(new BigInteger(big));
  }

  private static Object narrow(BigInteger value) {
    return value.bitLength() < 64 ? (Object) value.longValue() : value;
  }

  private Double floatLine() {
    String line = line();
    try {
      return switch (line) {
        case "inf" -> Double.POSITIVE_INFINITY;
        case "-inf" -> Double.NEGATIVE_INFINITY;
        case "nan" -> Double.NaN;
        default -> Double.valueOf(line);
      };
    } catch (NumberFormatException e) {
      throw bad("a number cannot be read: " + ZipArchive.printable(line));
    }
  }

  private String quotedLine() {
    String line = line();
    char quote = line.isEmpty() ? 0 : line.charAt(0);
    if (line.length() < 2
        || quote != '\'' && quote != '"'
        || line.charAt(line.length() - 1) != quote) {
      throw bad("a string has no quotes");
    }
    String inner = line.substring(1, line.length() - 1);
    StringBuilder value = new StringBuilder();
    for (int i = 0; i < inner.length(); i++) {
      char c = inner.charAt(i);
      if (c != '\\') {
        value.append(c);
        continue;
      }
      char escape = ++i < inner.length() ? inner.charAt(i) : 0;
      switch (escape) {
        case 'n' -> value.append('\n');
        case 't' -> value.append('\t');
        case 'r' -> value.append('\r');
        case '\\', '\'', '"' -> value.append(escape);
        case 'x' -> {
          value.append((char) hex(inner, i + 1, 2));
          i += 2;
        }
        default -> throw bad("a string has an unknown escape");
      }
    }
    return value.toString();
  }

  private String rawUnicode(String line) {
    StringBuilder value = new StringBuilder();
    for (int i = 0; i < line.length(); i++) {
      boolean escape = line.startsWith("\\u", i) || line.startsWith("\\U", i);
      if (escape) {
        int digits = line.charAt(i + 1) == 'u' ? 4 : 8;
        int point = hex(line, i + 2, digits);
        if (!Character.isValidCodePoint(point)) {
          throw bad("a string has an invalid character");
        }
        value.appendCodePoint(point);
        i += 1 + digits;
      } else {
        value.append(line.charAt(i));
      }
    }
    return value.toString();
  }

  private int hex(String text, int from, int digits) {
    long value = 0;
    for (int i = from; i < from + digits; i++) {
      int digit = i < text.length() ? Character.digit(text.charAt(i), 16) : -1;
      if (digit < 0) {
        throw bad("a string has an incomplete escape");
      }
      value = value * 16 + digit;
    }
    return (int) Math.min(value, Integer.MAX_VALUE);
  }

  private String line() {
    StringBuilder line = new StringBuilder();
    for (int c = unsignedByte(); c != '\n'; c = unsignedByte()) {
      if (line.length() == MAX_LINE) {
        throw bad("a line is too long");
      }
      line.append((char) c);
    }
    return line.toString();
  }

  private String text(long length, boolean utf8) {
    byte[] content = bytes(length);
    return new String(content, utf8 ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1);
  }

  private Object byteString(long length) {
    return views && length > VIEW_ABOVE ? view(length) : bytes(length);
  }

  private Bytes view(long length) {
    checkLength(length);
    Bytes view = file.slice(at, length);
    at += length;
    return view;
  }

  private void checkLength(long length) {
    if (length < 0 || length > file.length() - at || length > Integer.MAX_VALUE - 8) {
      throw bad("a value of " + length + " bytes runs over the end");
    }
  }

  private byte[] bytes(long length) {
    checkLength(length);
    byte[] content = file.get(at, (int) length);
    at += length;
    return content;
  }

  private int unsignedByte() {
    if (at >= file.length()) {
      throw bad("it ends too early, as in a download that was cut off");
    }
    return file.getByte(at++) & 0xff;
  }

  private void skip(int count) {
    if (count > file.length() - at) {
      throw bad("it ends too early, as in a download that was cut off");
    }
    at += count;
  }

  private int intValue() {
    skip(4);
    return file.getInt(at - 4);
  }

  private long longValue() {
    skip(8);
    return file.getLong(at - 8);
  }

  private InputException bad(String what) {
    return new InputException(
        "expected a sound Python pickle in "
            + label
            + ", but "
            + what
            + "; fetch or save the file again");
  }
}
