/**
 * What workers and daemons tell each other through the database (LISTEN and NOTIFY): that a job has changed, and how far it has come. Nobody
 * relies on it: what was not heard is found out by looking. Whoever may connect to the database may say anything, so all is checked.
 */
import { isDigest } from "../../../oci/digest.ts";
import type { ProgressEvent } from "../../../recipe/progress.ts";
import { progressKey, putLast } from "../known-progress.ts";

export type Progress = (id: string, event: ProgressEvent) => void;

export type Notice =
  | { readonly type: "changed"; readonly id: string }
  | { readonly type: "progress"; readonly id: string; readonly events: readonly ProgressEvent[] };

/** PostgreSQL takes less than 8,000 bytes. */
const MAX_PAYLOAD = 7_500;
/** How often one worker tells of its jobs. */
const EVERY_MS = 1_000;
const MAX_WAITING = 512;
const MAX_FIELD = 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isJobId(text: unknown): text is string {
  return typeof text === "string" && UUID.test(text);
}

export function changedNotice(id: string): string {
  return JSON.stringify({ c: id });
}

/** @returns undefined for what makes no sense */
export function readNotice(payload: string): Notice | undefined {
  let read: unknown;
  try {
    read = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (typeof read !== "object" || read === null) return undefined;
  const { c: changed, p: progress, e: events } = read as Readonly<Record<string, unknown>>;
  if (isJobId(changed)) return { type: "changed", id: changed };
  if (!isJobId(progress) || !Array.isArray(events)) return undefined;
  return { type: "progress", id: progress, events: events.filter(isProgressEvent) };
}

const PLAIN: ReadonlySet<string> = new Set(["string", "number", "boolean"]);
const TEXTS: ReadonlySet<string> = new Set([
  "reference",
  "name",
  "path",
  "phase",
  "host",
  "from",
  "to",
  "reason",
  "message",
]);

/** Whether it is an event of a kind that is known, of bounded plain fields. */
function isProgressEvent(value: unknown): value is ProgressEvent {
  if (typeof value !== "object" || value === null) return false;
  const fields = Object.entries(value);
  const isPlain = fields.length <= 24 && fields.every(([, field]) => field === null || PLAIN.has(typeof field));
  if (!isPlain || fields.some(([, field]) => typeof field === "string" && field.length > MAX_FIELD)) return false;
  const { type, ...rest } = value as Readonly<Record<string, unknown>>;
  if (typeof type !== "string" || !Object.hasOwn(NEEDED, type)) return false;
  return NEEDED[type as ProgressEvent["type"]].every((name) => isRight(name, rest[name]));
}

/** Numbers may be null, where nobody knows them. */
function isRight(name: string, value: unknown): boolean {
  if (name === "digest") return typeof value === "string" && isDigest(value);
  return TEXTS.has(name) ? typeof value === "string" : typeof value === "number" || value === null;
}

/** Fields that each kind of event has in any case, of those that are relied on. */
const NEEDED: Readonly<Record<ProgressEvent["type"], readonly string[]>> = {
  resolve: ["reference"],
  "layer-queued": ["digest", "total", "done"],
  "disk-queued": ["digest", "name", "total"],
  "unpack-queued": ["digest", "total"],
  "layer-start": ["digest", "total", "resumed"],
  progress: ["digest", "done", "total", "network", "local", "data", "zero", "bytesPerSecond", "etaSeconds"],
  unpack: ["digest", "done", "total", "entries"],
  disk: ["path", "phase", "done", "total", "copied", "bytesPerSecond", "etaSeconds"],
  delta: ["digest", "phase", "done", "total", "bytesPerSecond", "etaSeconds"],
  retry: ["host", "attempt", "delayMs", "reason"],
  failover: ["from", "to", "reason"],
  throttle: ["host", "limit", "previous"],
  fallback: ["digest", "from", "reason"],
  wait: ["digest", "done", "total"],
  "layer-verified": ["digest", "total"],
  "layer-mounted": ["digest", "total", "from"],
  "layer-present": ["digest", "total"],
  "layer-done": ["digest", "total"],
  "image-done": ["reference", "digest"],
  warning: ["message"],
};

/** Gathers what a worker's jobs tell, and sends only the newest of each blob once a second. */
export class ProgressNotices implements Disposable {
  readonly #send: (payload: string) => void;
  readonly #waiting = new Map<string, { readonly id: string; readonly event: ProgressEvent }>();
  #timer: NodeJS.Timeout | undefined;
  #once = 0;

  constructor(send: (payload: string) => void) {
    this.#send = send;
  }

  add(id: string, event: ProgressEvent): void {
    const key = `${id} ${progressKey(event) ?? `once ${this.#once++}`}`;
    putLast(this.#waiting, key, { id, event }, MAX_WAITING);
    this.#timer ??= setTimeout(() => this.flush(), EVERY_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const byJob = Map.groupBy(this.#waiting.values(), ({ id }) => id);
    this.#waiting.clear();
    for (const [id, told] of byJob) {
      for (const payload of payloads(
        id,
        told.map(({ event }) => event),
      ))
        this.#send(payload);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** As few as hold them; an event that is too long by itself is left out. */
function* payloads(id: string, events: readonly ProgressEvent[]): Generator<string> {
  let batch: string[] = [];
  let size = 0;
  for (const event of events) {
    const text = JSON.stringify(event);
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > MAX_PAYLOAD) continue;
    if (size + bytes > MAX_PAYLOAD) {
      yield payloadOf(id, batch);
      [batch, size] = [[], 0];
    }
    batch.push(text);
    size += bytes;
  }
  if (batch.length > 0) yield payloadOf(id, batch);
}

function payloadOf(id: string, events: readonly string[]): string {
  return `{"p":"${id}","e":[${events.join(",")}]}`;
}
