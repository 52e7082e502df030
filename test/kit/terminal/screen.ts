/**
 * What a person would see: a small terminal that obeys the control sequences a moving display uses, and changes its size the
 * two ways terminals do. Every other sequence is an error, so that no test passes on a sequence that nobody looked at.
 */
import { cellWidth } from "../../../src/cli/print/width.ts";

/** `cut`: xterm. `rewrap`: tmux, VTE, kitty: long lines are folded anew and the cursor stays with its text. */
export type ResizeStyle = "cut" | "rewrap";

interface Line {
  cells: string[];
  /** The next line goes on with this one. */
  wraps: boolean;
}

// oxlint-disable-next-line no-control-regex -- these are what a terminal reads
const SEQUENCE = /^\u001b\[([?]?)([\d;]*)([A-Za-z])/;

export class Screen {
  columns: number;
  rows: number;
  cursorShown = true;
  /** How many writes there were. */
  frames = 0;
  #lines: Line[] = [];
  /** Absolute, counted from the oldest line. */
  #row = 0;
  #column = 0;
  #top = 0;
  #autoWrap = true;
  #wrapPending = false;

  constructor(columns = 80, rows = 24) {
    this.columns = columns;
    this.rows = rows;
  }

  /** Rows on the screen, without the empty ones at the end. */
  visible(): string[] {
    return trimmed(this.#lines.slice(this.#top, this.#top + this.rows).map(textOf));
  }

  /** With everything that was scrolled away. */
  everything(): string[] {
    return trimmed(this.#lines.map(textOf));
  }

  /** Row and column on the screen. */
  cursor(): readonly [number, number] {
    return [this.#row - this.#top, this.#column];
  }

  get autoWrap(): boolean {
    return this.#autoWrap;
  }

  write(text: string): void {
    this.frames += 1;
    let rest = text;
    while (rest !== "") {
      const sequence = SEQUENCE.exec(rest);
      if (sequence !== null) this.#obey(sequence);
      const piece = sequence?.[0] ?? String.fromCodePoint(rest.codePointAt(0) ?? 0);
      if (sequence === null) this.#put(piece);
      rest = rest.slice(piece.length);
    }
  }

  resize(columns: number, rows: number, style: ResizeStyle): void {
    if (style === "rewrap") this.#rewrap(columns);
    else for (const line of this.#lines) line.cells.length = Math.min(line.cells.length, columns);
    this.columns = columns;
    this.rows = rows;
    this.#column = Math.min(this.#column, columns - 1);
    this.#wrapPending = false;
    if (style === "rewrap") {
      this.#top = Math.max(0, this.#used() - rows);
      // tmux: a cursor whose line has gone into the history comes to the first cell.
      if (this.#row < this.#top) [this.#row, this.#column] = [this.#top, 0];
    } else {
      this.#top = Math.max(this.#top, this.#row - rows + 1);
      this.#lines.length = Math.min(this.#lines.length, this.#top + rows);
    }
  }

  #obey([, mark, parameters = "", final]: RegExpExecArray): void {
    const count = Number(parameters || 1);
    if (mark === "?") {
      this.#setMode(parameters, final === "h");
      return;
    }
    this.#wrapPending = false;
    switch (final ?? "") {
      case "A":
        this.#row = Math.max(this.#top, this.#row - count);
        return;
      case "B":
        this.#row = Math.min(this.#top + this.rows - 1, this.#row + count);
        return;
      case "K":
        this.#line().cells.length = Math.min(this.#line().cells.length, this.#column);
        this.#line().wraps = false;
        return;
      case "J":
        this.#line().cells.length = Math.min(this.#line().cells.length, this.#column);
        this.#line().wraps = false;
        this.#lines.length = Math.min(this.#lines.length, this.#row + 1);
        return;
      case "m":
        return;
      default:
        throw new Error(`the screen does not know CSI ${parameters}${final}`);
    }
  }

  #setMode(mode: string, on: boolean): void {
    if (mode === "7") this.#autoWrap = on;
    else if (mode === "25") this.cursorShown = on;
    else if (mode !== "2026") throw new Error(`the screen does not know mode ${mode}`);
  }

  #put(character: string): void {
    if (character === "\r") {
      this.#column = 0;
      this.#wrapPending = false;
      return;
    }
    if (character === "\b") {
      this.#column = Math.max(0, this.#column - 1);
      this.#wrapPending = false;
      return;
    }
    if (character === "\n") {
      this.#feed();
      return;
    }
    if (character < " ") throw new Error(`a control character reached the screen: ${JSON.stringify(character)}`);
    if (this.#wrapPending && this.#autoWrap) {
      this.#line().wraps = true;
      this.#feed();
      this.#column = 0;
    }
    const { cells } = this.#line();
    while (cells.length < this.#column) cells.push(" ");
    cells[this.#column] = character;
    const width = cellWidth(character);
    for (let extra = 1; extra < width; extra += 1) cells[this.#column + extra] = "";
    this.#column += width;
    this.#wrapPending = this.#column >= this.columns;
    if (this.#wrapPending) this.#column = this.columns - 1;
  }

  #feed(): void {
    this.#wrapPending = false;
    this.#row += 1;
    this.#line();
    if (this.#row >= this.#top + this.rows) this.#top = this.#row - this.rows + 1;
  }

  #line(): Line {
    while (this.#lines.length <= this.#row) this.#lines.push({ cells: [], wraps: false });
    return this.#lines[this.#row] as Line;
  }

  /** Lines in use: up to the cursor or the last one with text. */
  #used(): number {
    const last = this.#lines.findLastIndex((line) => line.cells.length > 0);
    return Math.max(this.#row, last) + 1;
  }

  #rewrap(columns: number): void {
    const lines: Line[] = [];
    let [row, column] = [this.#row, this.#column];
    let logical: string[] = [];
    this.#line();
    for (const [index, line] of this.#lines.entries()) {
      const cells = line.wraps ? line.cells : Array.from(textOf(line));
      if (index === this.#row) {
        const offset = logical.length + this.#column;
        row = lines.length + Math.floor(offset / columns);
        column = offset % columns;
      }
      logical.push(...cells);
      if (line.wraps) continue;
      for (let start = 0; start === 0 || start < logical.length; start += columns) {
        lines.push({ cells: logical.slice(start, start + columns), wraps: start + columns < logical.length });
      }
      logical = [];
    }
    this.#lines = lines;
    [this.#row, this.#column] = [row, column];
  }
}

function textOf(line: Line): string {
  return line.cells.join("").trimEnd();
}

function trimmed(lines: string[]): string[] {
  return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
}
