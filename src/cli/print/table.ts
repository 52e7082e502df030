/** Aligned columns, two blanks apart, no trailing blanks; numbers to the right. */
import { sanitize } from "./sanitize.ts";
import { cellWidth, padEnd, padStart } from "./width.ts";

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Default: left. */
  readonly align?: "left" | "right";
}

/** Ends with a newline. Without rows, only the titles. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => sanitize(column.value(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => cellWidth(line[index] ?? ""))));
  const pad = (text: string, index: number): string =>
    columns[index]?.align === "right" ? padStart(text, widths[index] ?? 0) : padEnd(text, widths[index] ?? 0);
  return lines.map((line) => `${line.map(pad).join("  ").trimEnd()}\n`).join("");
}
