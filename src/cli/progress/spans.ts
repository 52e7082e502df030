/** A line of the display: pieces of text with a style each, so that cutting it never cuts an escape sequence. */
import { cellWidth, fit } from "../print/width.ts";

export type Style = "plain" | "strong" | "faint" | "good" | "busy" | "bad";

export interface Span {
  readonly text: string;
  readonly style?: Style;
}

/** Select Graphic Rendition; the eight basic colours follow the user's theme. */
const SGR: Readonly<Record<Style, string>> = { plain: "", strong: "1", faint: "2", good: "32", busy: "36", bad: "31" };

/** The line in at most `columns` cells. */
export function renderSpans(spans: readonly Span[], columns: number, color: boolean): string {
  let left = columns;
  let line = "";
  for (const { text, style = "plain" } of spans) {
    const shown = fit(text, left);
    if (shown === "" && text !== "") break;
    left -= cellWidth(shown);
    line += color && shown !== "" && SGR[style] !== "" ? `\u001b[${SGR[style]}m${shown}\u001b[0m` : shown;
    if (shown !== text) break;
  }
  return line;
}
