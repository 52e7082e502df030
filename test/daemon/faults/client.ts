/** One of several clients of the daemon in a trial: asks, and holds what it is told to what may be said. */
import type { Rng } from "../../kit/images/rng.ts";
import type { Answer, Asker, Outcome, Question } from "./ask.ts";
import type { Known } from "./known.ts";
import type { JobBook } from "./job-book.ts";
import type { Upstream } from "./upstream.ts";

/** What all clients of a trial share. */
export interface World {
  readonly upstream: Upstream;
  readonly asker: Asker;
  readonly jobs: JobBook;
  /** Settles when there is a daemon. */
  readonly host: () => Promise<string>;
  /** How often it was killed. */
  readonly kills: () => number;
  /** Whether the line to upstream is a good one. */
  readonly calm: () => boolean;
  /** Whether layers can be unpacked. */
  readonly unpacks: boolean;
  /** Uploads that clients left half-way, or that they cannot know the end of. */
  readonly abandoned: Set<string>;
  readonly count: (what: string) => void;
  readonly counted: (what: string) => number;
}

export interface Client {
  readonly world: World;
  readonly rng: Rng;
  /** `c0`; of repositories, snapshots and aliases that begin so nobody else changes any. */
  readonly name: string;
  /** Blobs, manifests and tags of the client's repositories, by path below `/v2/`; a digest, or what a tag stands for. */
  readonly hosted: Known<string>;
  /** Snapshots and names of images that are its own. */
  readonly held: Known<string>;
  /** Bytes by digest of all that it ever pushed. */
  readonly content: Map<string, Buffer>;
  /** Of manifests. */
  readonly types: Map<string, string>;
}

interface Allowed {
  /** Anything else is wrong. */
  readonly statuses: readonly number[];
  /** Whether the answer depends on upstream, and may say that it cannot be had. */
  readonly upstream?: boolean;
}

const UPSTREAM_TROUBLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * @returns undefined when nobody can know what became of it: the daemon was killed meanwhile, or upstream gave what it should not
 * @throws Error when the answer is not one of those that may be given, or broke off for no reason
 */
export async function asked(client: Client, question: Question, allowed: Allowed): Promise<Answer | undefined> {
  const { world } = client;
  const host = await world.host();
  const kills = world.kills();
  const outcome = await world.asker.ask(host, question);
  const verdict = judge(outcome, allowed, { killed: world.kills() !== kills, calm: world.calm() });
  world.count(verdict.count);
  if (verdict.count !== "wrong") return verdict.answer;
  const told = outcome.bytes.toString("utf8", 0, 500);
  const what =
    outcome.kind === "answer"
      ? `answered ${outcome.status}: ${told}`
      : `broke (${outcome.reason}, ${outcome.status ?? "no head"}, ${outcome.bytes.length} bytes)`;
  throw new Error(`${question.method} ${question.path} ${JSON.stringify(question.headers ?? {})} ${what}`);
}

interface Verdict {
  readonly count: "answered" | "killed" | "troubled" | "left" | "wrong";
  readonly answer?: Answer;
}

function judge(
  outcome: Outcome,
  { statuses, upstream = false }: Allowed,
  { killed, calm }: { readonly killed: boolean; readonly calm: boolean },
): Verdict {
  const mayFail = upstream && !calm;
  if (outcome.kind === "broken") {
    if (outcome.reason === "left") return { count: "left" };
    if (killed) return { count: "killed" };
    // Bytes that turned out wrong after some were passed on: the connection says so.
    return { count: mayFail && outcome.status !== undefined ? "troubled" : "wrong" };
  }
  if (statuses.includes(outcome.status)) return { count: "answered", answer: outcome };
  return { count: mayFail && UPSTREAM_TROUBLE.has(outcome.status) ? "troubled" : "wrong" };
}

/** A request to the API. */
export function api(method: string, path: string, body?: object): Question {
  return {
    method,
    path,
    ...(body !== undefined && {
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(body)),
    }),
  };
}

/** The body, which the caller takes for what the route answers. */
export function json({ bytes }: Answer): unknown {
  return JSON.parse(bytes.toString("utf8"));
}

/** The code of an API error. */
export function codeOf(answer: Answer): string {
  return (json(answer) as { error?: { code?: string } }).error?.code ?? "";
}
