/**
 * The connection to a shared queue's database, through pg-boss, which owns the tables (schema `varve`). It is opened in the background and again
 * until that succeeds; from then on pg-boss' pool and its listener heal themselves when the server goes away and comes back.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { VarveError } from "../../../errors/varve-error.ts";
import { MAX_DEATHS } from "../retries.ts";
import type { JobKind } from "../types.ts";

/** Of pg-boss, what is used. Its own types name those of `pg`, which has none. */
export interface Boss {
  send(queue: string, data: object, options: Readonly<Record<string, unknown>>): Promise<string | null>;
  fetch(queue: string, options: object): Promise<readonly { readonly id: string; readonly retryCount: number }[]>;
  cancel(queue: string, id: string): Promise<object>;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Opened {
  readonly boss: Boss;
  readonly query: (text: string, values: readonly unknown[]) => Promise<readonly Row[]>;
  readonly close: () => Promise<void>;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly kinds: readonly JobKind[];
  readonly onNotice: (payload: string) => void;
  /** From now on notices are heard; before this some may have been missed. */
  readonly onListening: () => void;
  readonly onWarning: (warning: unknown) => void;
}

export const SCHEMA = "varve";
export const CHANNEL = "varve_jobs";
/** A worker that was not heard of for so long is dead. */
const HEARTBEAT_SECONDS = 15;
/** How often one of those who are connected looks for dead workers. */
const SUPERVISE_SECONDS = 5;
/** The longest that pg-boss lets one attempt take. */
const EXPIRE_SECONDS = 24 * 3600;
/** How long a job waits for a worker at most. */
const RETENTION_SECONDS = 365 * 24 * 3600;
const CONNECT_TIMEOUT_MS = 5_000;
const REOPEN_MS = 3_000;

export class QueueConnection {
  readonly #options: ConnectionOptions;
  readonly #closing = new AbortController();
  #opening: Promise<Opened> | undefined;
  #warned = "";

  /** @throws VarveError `CONFIGURATION_INVALID` */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    if (!isPostgresUrl(options.url)) {
      // Not shown: it may have a password in it.
      throw new VarveError("CONFIGURATION_INVALID", "the queue's URL is none of a PostgreSQL database", {
        hint: "write it as postgres://USER@HOST/DATABASE, with special characters percent-encoded",
      });
    }
    void this.#openInTheBackground();
  }

  /** @throws VarveError `QUEUE_UNAVAILABLE` */
  async open(): Promise<Opened> {
    if (this.#closing.signal.aborted) throw new VarveError("QUEUE_UNAVAILABLE", "the queue is closed");
    this.#opening ??= open(this.#options, (error) => this.warn(error));
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw unavailable(error, this.#options.url);
    }
  }

  /** Works with the database. @throws VarveError `QUEUE_UNAVAILABLE` */
  async use<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
    const opened = await this.open();
    try {
      const result = await work(opened);
      this.#warned = "";
      return result;
    } catch (error) {
      throw error instanceof VarveError ? error : unavailable(error, this.#options.url);
    }
  }

  /** @throws VarveError `QUEUE_UNAVAILABLE` */
  query(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.use(({ query }) => query(text, values));
  }

  /** Once for each thing that is wrong, until it works again. */
  warn(thrown: unknown): void {
    if (this.#closing.signal.aborted) return;
    const warning = unavailable(thrown, this.#options.url);
    if (warning.message === this.#warned) return;
    this.#warned = warning.message;
    this.#options.onWarning(warning);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.close();
  }

  async #openInTheBackground(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.open();
        return;
      } catch (error) {
        this.warn(error);
        await sleep(REOPEN_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

async function open(
  { url, kinds, onNotice, onListening }: ConnectionOptions,
  onError: (error: unknown) => void,
): Promise<Opened> {
  const { PgBoss } = await import("pg-boss");
  const boss = new PgBoss({
    connectionString: url,
    schema: SCHEMA,
    application_name: "varve",
    max: 4,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: SUPERVISE_SECONDS,
    schedule: false,
  });
  // Without a listener an error of a connection that idles would end the process.
  boss.on("error", onError);
  try {
    await boss.start();
    for (const kind of kinds) await boss.createQueue(kind, { heartbeatSeconds: HEARTBEAT_SECONDS });
    const db = boss.getDb();
    const listening = await db.listen?.(CHANNEL, onNotice, onListening);
    return {
      boss: boss as unknown as Boss,
      query: async (text, values) => (await db.executeSql(text, [...values])).rows as readonly Row[],
      close: async () => {
        await listening?.close();
        await boss.stop({ graceful: false });
      },
    };
  } catch (error) {
    await boss.stop({ graceful: false }).catch(() => undefined);
    throw error;
  }
}

/** What a job is sent with. Every failure but a worker's death is dealt with here and not by pg-boss, so its delay is none. */
export function sendOptions(keepDays: number): Readonly<Record<string, unknown>> {
  return {
    retryLimit: MAX_DEATHS - 1,
    retryDelay: 0,
    retryBackoff: false,
    heartbeatSeconds: HEARTBEAT_SECONDS,
    expireInSeconds: EXPIRE_SECONDS,
    retentionSeconds: RETENTION_SECONDS,
    deleteAfterSeconds: Math.max(1, Math.round(keepDays * 86_400)),
  };
}

/** Without the URL, which may have a password in it: the driver's own messages have none. */
function unavailable(error: unknown, url: string): VarveError {
  if (error instanceof VarveError) return error;
  const { message, code } = error as { message?: unknown; code?: unknown };
  const texts = [message, code].filter((text) => typeof text === "string");
  // Of several addresses that were tried in vain, Node tells only the code.
  const why = texts.find((text) => text !== "") ?? "no reason was given";
  return new VarveError("QUEUE_UNAVAILABLE", `the queue at ${placeOf(url)}: ${withoutSecrets(why, url)}`, {
    ...(typeof code === "string" && { detail: { code } }),
  });
}

/** Host and database of a queue's URL, and nothing else of it. */
export function placeOf(url: string): string {
  const { host, pathname, searchParams } = new URL(url);
  return `${searchParams.get("host") ?? host}${pathname}`;
}

function withoutSecrets(text: string, url: string): string {
  const { password, searchParams } = new URL(url);
  const secrets = [password, decoded(password), searchParams.get("password") ?? "", url];
  return secrets.reduce((left, secret) => (secret === "" ? left : left.replaceAll(secret, "***")), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether it may be one, without a look at the server. */
export function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text);
}
