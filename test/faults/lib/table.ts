/** Figures in columns. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return cells.map(line).join("\n");
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** `A 3, B 1`, the most frequent first; a dash for nothing. */
export function counts(values: Iterable<string>): string {
  const seen = new Map<string, number>();
  for (const value of values) seen.set(value, (seen.get(value) ?? 0) + 1);
  const sorted = [...seen].toSorted(([, a], [, b]) => b - a);
  return sorted.map(([value, count]) => `${value} ${count}`).join(", ") || "-";
}
