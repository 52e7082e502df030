/**
 * Clients that ask for a manifest's head at a steady pace, each over a connection of its own, and note how long the answers take. A program of its own
 * that does nothing else, so that the times are the server's. Started by {@link ./loads.ts}.
 */
import { Agent, request } from "node:http";
import { MANIFEST_TYPE } from "./content.ts";

export interface HeadWork {
  readonly url: string;
  readonly clients: number;
  /** Between two requests of a client, from the sending of one to that of the next. */
  readonly everyMs: number;
}

export interface HeadTimes {
  readonly count: number;
  /** Milliseconds; of 100 answers as many took no longer. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
const times: number[] = [];
const timers: NodeJS.Timeout[] = [];
let stopped = false;

process.on("message", (message: HeadWork | "stop") => {
  if (message === "stop") return stop();
  const { url, clients, everyMs } = message;
  for (let client = 0; client < clients; client += 1) {
    // Spread out, so that they do not all come at once.
    const begin = (): void => void timers.push(setInterval(() => ask(url), everyMs));
    timers.push(setTimeout(begin, (client / clients) * everyMs));
  }
});

function ask(url: string): void {
  const askedAt = performance.now();
  const asked = request(url, { method: "HEAD", agent, headers: { accept: MANIFEST_TYPE } }, (answer) => {
    if (answer.statusCode !== 200) fail(new Error(`${url} answered ${answer.statusCode}`));
    times.push(performance.now() - askedAt);
    answer.resume();
  });
  asked.on("error", fail).end();
}

function stop(): void {
  stopped = true;
  for (const timer of timers) clearInterval(timer);
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
  process.send?.({ count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) } satisfies HeadTimes);
  agent.destroy();
}

function fail(error: Error): void {
  // What is still under way at the end is broken off.
  if (stopped) return;
  console.error(error);
  process.exit(1);
}
