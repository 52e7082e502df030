/** Progress on a terminal: a region that is redrawn at most twelve times a second, messages above it, a summary that stays. */
import type { ProgressEvent } from "../../recipe/progress.ts";
import type { Host } from "../host.ts";
import { type LogLevel, logLine } from "../logger.ts";
import type { Display } from "./display.ts";
import { displayLines } from "./lines.ts";
import { LiveRegion } from "./live-region.ts";
import { ProgressModel } from "./model.ts";
import { renderSpans } from "./spans.ts";

/** Between frames. */
const FRAME_MS = 1000 / 12;
/** A display that nothing happens on is redrawn so often, to tell that it stalls. */
const IDLE_MS = 1000;

type TerminalHost = Pick<Host, "stderr" | "env" | "now" | "later" | "isForeground">;

export class TtyDisplay implements Display {
  readonly #host: TerminalHost;
  readonly #region: LiveRegion;
  readonly #color: boolean;
  readonly #offResize: () => void;
  #model = new ProgressModel();
  /** Whether there is something to show: between the start of an image and its end. */
  #isActive = false;
  #isSuspended = false;
  #lastFrame = -Infinity;
  #timer: { readonly at: number; cancel(): void } | undefined;

  constructor(host: TerminalHost) {
    this.#host = host;
    this.#region = new LiveRegion((text) => void host.stderr.write(text));
    // https://no-color.org: present and not empty.
    this.#color = (host.env["NO_COLOR"] ?? "") === "";
    this.#offResize = host.stderr.onResize(() => this.#resized());
  }

  event(event: ProgressEvent): void {
    this.#model.apply(event, this.#host.now());
    if (event.type === "image-done") {
      this.#leave();
      return;
    }
    this.#isActive = true;
    this.#schedule(FRAME_MS);
  }

  log(level: LogLevel, message: string): void {
    const line = logLine(level, message);
    if (this.#region.isShown && !this.#isSuspended) this.#region.print(line, this.#lines());
    else void this.#host.stderr.write(`${line}\n`);
  }

  finish(): void {
    this.#leave();
    this.#offResize();
  }

  escape(): string {
    this.#isSuspended = true;
    this.#stopTimer();
    return this.#region.escape();
  }

  resume(): void {
    this.#isSuspended = false;
    if (this.#isActive) this.#draw();
  }

  /** The region's last state becomes text like any other. */
  #leave(): void {
    this.#stopTimer();
    if (this.#isActive && this.#model.layers.length > 0) this.#region.release(this.#lines());
    else if (this.#region.isShown) this.#region.release([]);
    this.#isActive = false;
    this.#model = new ProgressModel();
  }

  #resized(): void {
    if (this.#region.isShown && !this.#isSuspended) this.#region.repaint(this.#lines());
  }

  /** The first event of a quiet moment is drawn at once, those of a busy one together in the next frame. */
  #schedule(pause: number): void {
    if (this.#isSuspended) return;
    const now = this.#host.now();
    const at = Math.max(now, this.#lastFrame + pause);
    if (at === now) {
      this.#draw();
      return;
    }
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#stopTimer();
    this.#timer = { at, cancel: this.#host.later(at - now, () => this.#draw()) };
  }

  #draw(): void {
    this.#stopTimer();
    this.#lastFrame = this.#host.now();
    // A shell tells nobody that it brings a running job to the front, so each frame asks.
    if (this.#host.isForeground()) this.#region.paint(this.#lines());
    this.#schedule(IDLE_MS);
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** One column stays free: a character in the last one leaves the cursor in a state that terminals disagree about. */
  #lines(): string[] {
    const { columns, rows } = this.#host.stderr.size();
    const width = Math.max(1, columns - 1);
    const lines = displayLines(this.#model, this.#host.now(), { columns: width, rows });
    return lines.map((spans) => renderSpans(spans, width, this.#color));
  }
}
