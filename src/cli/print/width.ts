/** How many cells of a terminal a text takes: East Asian wide characters and emoji two, combining marks none. */
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]$/u;

export function cellWidth(text: string): number {
  // Nearly everything here is ASCII.
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** Where something is lost. In ASCII, as not every terminal's locale has an ellipsis. */
const CUT = "..";

/** Cuts a text to at most `cells`, with a mark where something is lost. */
export function fit(text: string, cells: number): string {
  if (cellWidth(text) <= cells) return text;
  if (cells < CUT.length) return CUT.slice(0, Math.max(0, cells));
  let kept = "";
  let width = 0;
  for (const character of text) {
    const next = cellWidth(character);
    if (width + next > cells - CUT.length) break;
    kept += character;
    width += next;
  }
  return kept + CUT;
}

export function padEnd(text: string, cells: number): string {
  return text + " ".repeat(Math.max(0, cells - cellWidth(text)));
}

export function padStart(text: string, cells: number): string {
  return " ".repeat(Math.max(0, cells - cellWidth(text))) + text;
}
