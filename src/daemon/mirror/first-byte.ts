/** While nobody has been sent anything of a blob, clients can ask elsewhere: a registry that does not begin to send is given up early. */
import type { VarveError } from "../../errors/varve-error.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { RegistryFailure } from "../../registry/transport/failure.ts";
import type { Ingest } from "../../store/types.ts";
import { failureOf } from "./patience.ts";

const RETRIES = 2;
const MS = 30_000;

export class FirstByte implements Disposable {
  readonly #ingest: Pick<Ingest, "done" | "digest">;
  readonly #before: number;
  readonly #giveUp: (error: VarveError) => void;
  #timer: NodeJS.Timeout | undefined;
  #retries = 0;

  constructor(ingest: Pick<Ingest, "done" | "digest">, giveUp: (error: VarveError) => void) {
    this.#ingest = ingest;
    this.#giveUp = giveUp;
    this.#before = bytesIn(ingest);
  }

  /** The registry is asked now. What was waited for before, the turn of this blob among others, is not its fault. */
  begin(): void {
    const late = new RegistryFailure("REGISTRY_TIMEOUT", `nothing of ${this.#ingest.digest} came in ${MS} ms`);
    this.#timer ??= setTimeout(() => this.#has() || this.#giveUp(late), MS).unref();
  }

  onProgress(event: ProgressEvent): void {
    if (event.type === "retry" && ++this.#retries > RETRIES && !this.#has()) this.#giveUp(failureOf(event.reason));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /** Whether anything has come. */
  #has(): boolean {
    return bytesIn(this.#ingest) > this.#before;
  }
}

function bytesIn({ done }: Pick<Ingest, "done">): number {
  return done.reduce((sum, { start, end }) => sum + end - start, 0);
}
