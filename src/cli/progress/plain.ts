/** Progress as lines, for logs and for terminals that cannot move their cursor: starts, ends, and now and then between. */
import { basename } from "node:path";
import type { Digest } from "../../oci/digest.ts";
import type { DeltaProgress, DiskProgress, ProgressEvent } from "../../recipe/progress.ts";
import type { Host } from "../host.ts";
import { type LogLevel, logLine } from "../logger.ts";
import { sanitize } from "../print/sanitize.ts";
import { formatBytes, formatEta, percent, shortDigest } from "../print/units.ts";
import type { Display } from "./display.ts";

/** A layer is mentioned again after a tenth of it, though not twice within a second; or after five seconds. */
const STEP = 0.1;
const LEAST_MS = 1000;
const MOST_MS = 5000;

interface Mention {
  readonly share: number;
  readonly at: number;
}

export class PlainDisplay implements Display {
  readonly #host: Pick<Host, "stderr" | "now">;
  readonly #mentions = new Map<string, Mention>();
  /** Of disks, by their keys. */
  readonly #names = new Map<string, string>();
  /** Where what is told of moves; undefined when that is here. */
  #destination: string | undefined;
  #title: string | undefined;

  constructor(host: Pick<Host, "stderr" | "now">) {
    this.#host = host;
  }

  event(event: ProgressEvent): void {
    switch (event.type) {
      case "resolve":
        this.#destination = event.to;
        if (event.to !== undefined) this.#begin(`copying ${sanitize(event.reference)} to ${sanitize(event.to)}`);
        else if (event.digest === undefined) this.#line(`resolving ${sanitize(event.reference)}`);
        return;
      case "disk-queued":
        this.#names.set(event.digest, event.name);
        return;
      case "layer-start": {
        const kept = event.resumed > 0 ? `, ${formatBytes(event.resumed)} of it kept from before` : "";
        this.#layer(event.digest, `${this.#verb()} ${formatBytes(event.total)}${kept}`);
        this.#mention(event.digest, event.resumed / Math.max(1, event.total));
        return;
      }
      case "progress":
        this.#progress(event);
        return;
      case "unpack":
        this.#unpack(event);
        return;
      case "disk":
        this.#disk(event);
        return;
      case "delta":
        this.#delta(event);
        return;
      case "wait":
        this.#wait(event);
        return;
      case "layer-mounted":
        this.#layer(event.digest, `is there, taken from ${sanitize(event.from)}, ${formatBytes(event.total)}`);
        return;
      case "layer-present":
        this.#layer(
          event.digest,
          `is ${this.#destination === undefined ? "here" : "there"}, ${formatBytes(event.total)}`,
        );
        return;
      case "layer-done":
        this.#layer(event.digest, `done, ${formatBytes(event.total)}`);
        return;
      case "image-done":
        this.#line(`${sanitize(event.reference)} is ${event.digest}`);
        return;
      case "layer-queued":
      case "unpack-queued":
      case "layer-verified":
      case "retry":
      case "failover":
      case "throttle":
      case "fallback":
      case "warning":
        return;
    }
  }

  log(level: LogLevel, message: string): void {
    this.#line(logLine(level, message));
  }

  finish(): void {
    this.#mentions.clear();
  }

  escape(): string {
    return "";
  }

  resume(): void {
    // Lines need no repair.
  }

  /** Once, however often it is said. */
  #begin(title: string): void {
    if (title !== this.#title) this.#line(title);
    this.#title = title;
  }

  #verb(): string {
    if (this.#destination === undefined) return "fetching";
    return this.#destination.startsWith("docker://") ? "sending" : "copying";
  }

  #progress(event: Extract<ProgressEvent, { type: "progress" }>): void {
    const { digest, done, total, bytesPerSecond, etaSeconds, network } = event;
    const share = total > 0 ? done / total : 0;
    // Nobody was told that it begins: then it is worth a word only when it takes long.
    if (!this.#mentions.has(digest)) this.#mention(digest, share);
    if (done >= total || !this.#isDue(digest, share)) return;
    this.#mention(digest, share);
    const speed = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s` : "";
    const left = etaSeconds === null ? "" : `, ${formatEta(etaSeconds)} left`;
    const received = this.#names.has(digest) ? `, ${formatBytes(network)} received` : "";
    const amount = `${percent(done, total)}, ${formatBytes(done)} of ${formatBytes(total)}`;
    this.#layer(digest, `${amount}${received}${speed}${left}`);
  }

  #wait({ digest, done, total }: Extract<ProgressEvent, { type: "wait" }>): void {
    const share = total > 0 ? done / total : 0;
    if (!this.#isDue(digest, share)) return;
    this.#mention(digest, share);
    this.#layer(digest, `waiting for another process, ${percent(done, total)} of ${formatBytes(total)}`);
  }

  #disk({ path, phase, done, total, copied, bytesPerSecond, etaSeconds }: DiskProgress): void {
    const [key, share] = [`${phase} ${path}`, total > 0 ? done / total : 0];
    // A file that is copied at once is told of by the result alone.
    if (!this.#mentions.has(key)) this.#mention(key, share);
    if (phase === "done" || done >= total || !this.#isDue(key, share)) return;
    this.#mention(key, share);
    const written = phase === "copying" ? `, ${formatBytes(copied)} written` : " checked";
    const speed = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s` : "";
    const left = etaSeconds === null ? "" : `, ${formatEta(etaSeconds)} left`;
    const amount = `${percent(done, total)}, ${formatBytes(done)} of ${formatBytes(total)}`;
    this.#line(`${sanitize(basename(path))}: ${amount}${written}${speed}${left}`);
  }

  #delta({ digest, phase, done, total, bytesPerSecond, etaSeconds }: DeltaProgress): void {
    const share = total > 0 ? done / total : 0;
    if (phase === "queued") return;
    if (phase === "common") return this.#layer(digest, `is in both images, ${formatBytes(total)}`);
    if (phase === "done") return this.#layer(digest, `compared, ${formatBytes(total)}`);
    if (!this.#mentions.has(digest)) {
      this.#layer(digest, `${phase === "computing" ? "comparing" : "reading the base,"} ${formatBytes(total)}`);
    } else if (done >= total || !this.#isDue(digest, share)) return;
    else {
      const speed = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s` : "";
      const left = etaSeconds === null ? "" : `, ${formatEta(etaSeconds)} left`;
      this.#layer(digest, `${percent(done, total)}, ${formatBytes(done)} of ${formatBytes(total)}${speed}${left}`);
    }
    this.#mention(digest, share);
  }

  /** Only where unpacking is slow enough to be asked about. */
  #unpack({ digest, done, total, compresses = false }: Extract<ProgressEvent, { type: "unpack" }>): void {
    const last = this.#mentions.get(digest);
    const of = total === null ? "" : ` of ${formatBytes(total)}`;
    if (last === undefined) {
      this.#mention(digest, 0);
      // It has a word of its own, as nothing else is told of the layer.
      if (compresses) this.#layer(digest, total === null ? "compressing" : `compressing ${formatBytes(total)}`);
      return;
    }
    if (this.#host.now() - last.at < MOST_MS) return;
    this.#mention(digest, last.share);
    this.#layer(digest, `${compresses ? "compressing" : "unpacking"}, ${formatBytes(done)}${of}`);
  }

  #isDue(name: string, share: number): boolean {
    const last = this.#mentions.get(name);
    if (last === undefined) return true;
    if (share === last.share) return false;
    const elapsed = this.#host.now() - last.at;
    return elapsed >= MOST_MS || (elapsed >= LEAST_MS && share - last.share >= STEP);
  }

  #mention(name: string, share: number): void {
    this.#mentions.set(name, { share, at: this.#host.now() });
  }

  #layer(digest: Digest, text: string): void {
    const name = this.#names.get(digest);
    this.#line(`${name === undefined ? shortDigest(digest) : sanitize(name)}: ${text}`);
  }

  #line(text: string): void {
    void this.#host.stderr.write(`${text}\n`);
  }
}
