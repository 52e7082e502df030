/** One request, and all that can become of it: a whole answer, or a connection that broke. An answer counts only when all of it came. */
import { Agent, request, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The client leaves when so much of the body has come. */
  readonly leaveAfter?: number;
}

export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

export interface Broken {
  readonly kind: "broken";
  readonly reason: string;
  /** When the head came. */
  readonly status?: number;
  /** What came of the body. */
  readonly bytes: Buffer;
}

export type Outcome = Answer | Broken;

/** Retries of the daemon and waiting in its queues are in it; beyond that it hangs. */
const LIMIT_MS = 120_000;

export class Asker implements Disposable {
  readonly #agent = new Agent({ keepAlive: true });

  /** @throws Error when there is no end of it */
  async ask(host: string, question: Question): Promise<Outcome> {
    const reading = question.method === "GET" || question.method === "HEAD";
    const outcome = await this.#once(host, question, reading ? this.#agent : false);
    if (outcome !== "stale") return outcome;
    const again = await this.#once(host, question, false);
    return again === "stale" ? { kind: "broken", reason: "stale", bytes: Buffer.alloc(0) } : again;
  }

  /** @returns `stale` for a connection that had been kept, and that was closed when it was to be used again */
  #once(host: string, question: Question, agent: Agent | false): Promise<Outcome | "stale"> {
    const { method, path, headers = {}, body } = question;
    const [hostname, port] = host.split(":");
    const length = body === undefined ? {} : { "content-length": String(body.length) };
    return new Promise((resolve, reject) => {
      const asked = request({ hostname, port, method, path, headers: { ...length, ...headers }, agent });
      const timer = setTimeout(() => {
        reject(new Error(`${method} ${path} has no end within ${LIMIT_MS} ms`));
        asked.destroy();
      }, LIMIT_MS);
      const settle = (outcome: Outcome | "stale"): void => {
        clearTimeout(timer);
        resolve(outcome);
      };
      asked.once("response", (message) => readAnswer(message, question, asked, settle));
      asked.on("error", (error: NodeJS.ErrnoException) => {
        const reason = error.code ?? error.message;
        settle(asked.reusedSocket ? "stale" : { kind: "broken", reason, bytes: Buffer.alloc(0) });
      });
      asked.end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function readAnswer(
  message: IncomingMessage,
  { leaveAfter = Infinity }: Question,
  asked: ClientRequest,
  settle: (outcome: Outcome) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  const { statusCode: status = 0, headers } = message;
  message.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size < leaveAfter) return;
    settle({ kind: "broken", reason: "left", status, bytes: Buffer.concat(chunks) });
    asked.destroy();
  });
  message.on("end", () => settle({ kind: "answer", status, headers, bytes: Buffer.concat(chunks) }));
  const broke = (error?: Error): void =>
    settle({ kind: "broken", reason: error?.message ?? "closed", status, bytes: Buffer.concat(chunks) });
  message.on("error", broke);
  // After an end this comes too late to count.
  message.on("close", () => broke());
}
