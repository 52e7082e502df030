/**
 * Lines at the bottom of a terminal that are drawn over and over. The cursor rests on the first cell of the region, not after
 * it: when the terminal is resized it moves or re-wraps what is shown, and the cursor stays with its own text, so that the
 * region is found again whatever the terminal did (xterm cuts, tmux and VTE re-wrap).
 *
 * A frame is a single write between the marks of synchronized output (DEC private mode 2026; ignored where unknown), with
 * auto-wrap off (mode 7), so that a frame drawn for the old width cannot wrap in a window that has just become narrower.
 */
const ESC = "\u001b";
const BEGIN = `${ESC}[?2026h${ESC}[?25l${ESC}[?7l\r`;
const END = `${ESC}[?7h${ESC}[?2026l`;
const SHOW_CURSOR = `${ESC}[?25h`;
const ERASE_LINE_END = `${ESC}[K`;
const ERASE_BELOW = `${ESC}[J`;

export class LiveRegion {
  readonly #write: (text: string) => void;
  /** What is shown, line by line; undefined when nothing is. */
  #frame: string | undefined;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Whether the region is on the screen, and the cursor hidden. */
  get isShown(): boolean {
    return this.#frame !== undefined;
  }

  /** Draws the region: at least one line, each narrower than the terminal, fewer than it has rows. */
  paint(lines: readonly string[]): void {
    const frame = lines.join("\n");
    if (frame === this.#frame) return;
    this.#show(lines, "");
  }

  /** Puts lines above the region, where they stay and scroll away with the rest. Long ones wrap. */
  print(text: string, lines: readonly string[]): void {
    // Wrapping is wanted here, so auto-wrap is on again while the text is written.
    this.#show(lines, `${ERASE_BELOW}${ESC}[?7h${text}\n${ESC}[?7l`);
  }

  /** After a resize nothing that was drawn can be trusted. */
  repaint(lines: readonly string[]): void {
    this.#show(lines, ERASE_BELOW);
  }

  /** Leaves `lines` on the screen for good and gives the terminal back: cursor shown, on the line after them. */
  release(lines: readonly string[]): void {
    this.#write(leaving(lines));
    this.#frame = undefined;
  }

  /**
   * What gives the terminal back at once, with the region left as it is; empty when nothing is shown. It is drawn once more,
   * because the terminal has echoed the ^C or ^Z that led here over it.
   */
  escape(): string {
    if (this.#frame === undefined) return "";
    const text = leaving(this.#frame.split("\n"));
    this.#frame = undefined;
    return text;
  }

  #show(lines: readonly string[], before: string): void {
    const text = lines.map((line) => line + ERASE_LINE_END).join("\r\n");
    const up = lines.length > 1 ? `${ESC}[${lines.length - 1}A` : "";
    this.#write(`${BEGIN}${before.replace(/\n/g, "\r\n")}${text}${ERASE_BELOW}\r${up}${END}`);
    this.#frame = lines.join("\n");
  }
}

/** Lines that stay, and the terminal as it was, with the cursor below them. */
function leaving(lines: readonly string[]): string {
  const text = lines.map((line) => `${line}${ERASE_LINE_END}\r\n`).join("");
  return `${BEGIN}${text}${ERASE_BELOW}${END}${SHOW_CURSOR}`;
}
