/**
 * One upload at a registry (distribution-spec "Pushing blobs"), from its POST to its PUT: where it is, and how much of it is there.
 * Always at the address that the last answer gave.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, isDigest } from "../../oci/digest.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Caller } from "../attempts.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Ask, Session, SessionAnswer } from "../session.ts";
import { readErrorBody } from "../transport/body.ts";
import { RegistryFailure } from "../transport/failure.ts";
import type { RequestBody } from "../transport/request-body.ts";
import { header } from "../transport/transport.ts";
import { parseKept, type Kept } from "./kept-range.ts";
import { closingLocation, nextLocation } from "./location.ts";

/** A registry may read all of a blob once more before it answers to its last byte. */
const CLOSING_PATIENCE = 5;
/** What may be said to a PATCH that was accepted: 202 by the specification, 201 by ECR, 204 by Docker Hub. */
const ACCEPTED = new Set([200, 201, 202, 204]);
/** What is said of an upload that is not there, or by those who do not tell how it stands. */
const GONE = new Set([400, 404, 405, 410, 416, 501]);

export interface UploadContext {
  readonly session: Session;
  readonly endpoint: Endpoint;
  readonly blob: Descriptor;
  /** For messages. */
  readonly subject: string;
  /** Milliseconds until the headers of an answer, as in the settings. */
  readonly headersMs: number;
}

/** What was sent so far is of no use any more: another upload has to be begun. */
export class UploadLost extends RegistryFailure {
  /** Nothing is left of it that could be cancelled. */
  readonly isGone: boolean;

  constructor({ code, message, detail }: VarveError, isGone: boolean) {
    super(code, message, { retryable: true, detail });
    this.isGone = isGone;
  }
}

/** The registry, or something before it, takes no body of that many bytes. */
export class BodyTooLarge extends RegistryFailure {
  readonly length: number;

  constructor(refusal: RegistryFailure, length: number) {
    const hint = "send it in smaller pieces with --chunk-size";
    super(refusal.code, refusal.message, { hint, detail: refusal.detail });
    this.length = length;
  }
}

/** Begins an upload. @param query after the `?`, of a mount that may become one */
export async function postUpload(
  context: UploadContext,
  query: string,
  caller: Caller,
  extraScopes: readonly string[] = [],
): Promise<{ ask: Ask; answer: SessionAnswer }> {
  const ask: Ask = {
    method: "POST",
    path: `/blobs/uploads/${query === "" ? "" : `?${query}`}`,
    push: true,
    extraScopes,
    subject: context.subject,
    ...caller,
  };
  return { ask, answer: await context.session.send(context.endpoint, ask) };
}

/** @throws VarveError `REPOSITORY_UNKNOWN`, `DENIED`, `UNAUTHORIZED`, `REGISTRY_*` */
export async function startUpload(context: UploadContext, caller: Caller): Promise<Upload> {
  const algorithm = digestAlgorithm(context.blob.digest);
  const query = algorithm === "sha256" ? "" : `digest-algorithm=${algorithm}`;
  const { ask, answer } = await postUpload(context, query, caller);
  if (ACCEPTED.has(answer.status)) return await Upload.begun(context, answer);
  if (answer.status !== 405) throw await context.session.refusal(answer, ask, "REPOSITORY_UNKNOWN");
  await readErrorBody(answer.body);
  throw new RegistryFailure("DENIED", `${context.subject}: ${answer.url.host} takes no pushes (status 405)`, {
    hint: "this registry can only be read from; push to another",
    detail: { host: answer.url.host, status: 405 },
  });
}

export class Upload {
  readonly #context: UploadContext;
  #location: URL;
  #minChunk = 0;
  #confirmed = 0;

  private constructor(context: UploadContext, location: URL) {
    this.#context = context;
    this.#location = location;
  }

  /** From the answer that began it. @throws VarveError `REGISTRY_PROTOCOL` when it does not say where to go on */
  static async begun(context: UploadContext, answer: SessionAnswer): Promise<Upload> {
    await readErrorBody(answer.body);
    const { subject } = context;
    const location = nextLocation(answer, subject);
    if (location === undefined) {
      const message = `${subject}: ${answer.url.host} began an upload and does not say where`;
      throw new RegistryFailure("REGISTRY_PROTOCOL", message, { detail: { host: answer.url.host } });
    }
    const upload = new Upload(context, location);
    upload.#learn(answer);
    return upload;
  }

  /** Bytes that the registry has for certain. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Of all chunks but the last; 0 when the registry wants no more than any. */
  get minChunk(): number {
    return this.#minChunk;
  }

  /** Sends `[confirmed, end)`. @throws VarveError; how much is there then has to be asked with {@link refresh} */
  async patch(body: RequestBody, caller: Caller): Promise<void> {
    const end = this.#confirmed + body.length;
    const ask = this.#ask("PATCH", this.#location, caller, { body, start: this.#confirmed });
    const answer = await this.#send(ask);
    if (!ACCEPTED.has(answer.status)) throw await this.#refusal(answer, ask, body.length);
    await readErrorBody(answer.body);
    const kept = this.#learn(answer);
    if (kept !== undefined && kept.bytes !== end) {
      throw this.#broken(answer, `says that it has ${kept.bytes} bytes after it was sent ${end}`);
    }
    this.#confirmed = end;
  }

  /**
   * Sends the rest and ends the upload.
   *
   * @returns false when the registry only says that it will see to it
   * @throws VarveError `DIGEST_MISMATCH` when the registry made something else of it
   */
  async put(body: RequestBody | undefined, caller: Caller): Promise<boolean> {
    const { digest } = this.#context.blob;
    const start = this.#confirmed;
    const url = closingLocation(this.#location, digest);
    const headersMs = CLOSING_PATIENCE * this.#context.headersMs;
    // A body that is the whole blob is no chunk, and registries refuse it when it says that it is one.
    const ask = { ...this.#ask("PUT", url, caller, { body, ...(start > 0 && { start }) }), headersMs };
    const answer = await this.#send(ask);
    if (!ACCEPTED.has(answer.status)) throw await this.#refusal(answer, ask, body?.length ?? 0);
    await readErrorBody(answer.body);
    const stated = header(answer.headers, "docker-content-digest");
    if (isDigest(stated) && stated !== digest && digestAlgorithm(stated) === digestAlgorithm(digest)) {
      const { host } = answer.url;
      const message = `${this.#context.subject}: ${host} made ${stated} of it`;
      throw new VarveError("DIGEST_MISMATCH", message, { detail: { host, expected: digest, actual: stated } });
    }
    return answer.status !== 202;
  }

  /**
   * Asks how much is there.
   *
   * @param reached Bytes that were ever sent: more cannot be there.
   * @throws VarveError {@link UploadLost} when nothing of it is to be gone on with
   */
  async refresh(reached: number, caller: Caller): Promise<void> {
    const ask = this.#ask("GET", this.#location, caller);
    const answer = await this.#send(ask);
    if (GONE.has(answer.status)) {
      await readErrorBody(answer.body);
      throw this.#gone(answer);
    }
    if (!ACCEPTED.has(answer.status)) throw await this.#context.session.refusal(answer, ask, "REGISTRY_PROTOCOL");
    await readErrorBody(answer.body);
    const kept = this.#learn(answer);
    if (kept === undefined || (kept.vague && reached > 0) || kept.bytes > Math.max(reached, 1)) {
      throw new UploadLost(this.#broken(answer, "does not say what it has of the upload"), false);
    }
    this.#confirmed = kept.vague ? 0 : kept.bytes;
  }

  /** Has the registry forget it. Nobody minds when it does not. */
  async cancel(): Promise<void> {
    try {
      const answer = await this.#send(this.#ask("DELETE", this.#location, { signal: AbortSignal.timeout(5000) }));
      await readErrorBody(answer.body);
    } catch {
      // Registries collect what was left behind.
    }
  }

  #ask(
    method: Ask["method"],
    url: URL,
    caller: Caller,
    { body, start }: { body?: RequestBody | undefined; start?: number } = {},
  ): Ask {
    const range =
      start === undefined || body === undefined ? {} : { "content-range": `${start}-${start + body.length - 1}` };
    return {
      method,
      path: "",
      url,
      push: true,
      ...(body !== undefined && { body, headers: { "content-type": "application/octet-stream", ...range } }),
      subject: this.#context.subject,
      ...caller,
    };
  }

  #send(ask: Ask): Promise<SessionAnswer> {
    return this.#context.session.send(this.#context.endpoint, ask);
  }

  /** What of an answer concerns all that follows. */
  #learn(answer: SessionAnswer): Kept | undefined {
    this.#location = nextLocation(answer, this.#context.subject) ?? this.#location;
    const least = header(answer.headers, "oci-chunk-min-length");
    if (least !== undefined && /^\d{1,30}$/.test(least)) this.#minChunk = Number(least);
    return parseKept(header(answer.headers, "range"));
  }

  async #refusal(answer: SessionAnswer, ask: Ask, length: number): Promise<RegistryFailure> {
    const { status } = answer;
    if (status === 404 || status === 410) {
      await readErrorBody(answer.body);
      return this.#gone(answer);
    }
    const refusal = await this.#context.session.refusal(answer, ask, "REGISTRY_PROTOCOL");
    if (status === 413) return new BodyTooLarge(refusal, length);
    if (status !== 416) return refusal;
    this.#learn(answer);
    return this.#broken(answer, "expects another part of it");
  }

  #broken(answer: SessionAnswer, what: string): RegistryFailure {
    const { host } = answer.url;
    return new RegistryFailure("REGISTRY_PROTOCOL", `${this.#context.subject}: ${host} ${what}`, {
      retryable: true,
      detail: { host },
    });
  }

  #gone(answer: SessionAnswer): UploadLost {
    const { host } = answer.url;
    const message = `${this.#context.subject}: ${host} has lost the upload (status ${answer.status})`;
    return new UploadLost(
      new VarveError("REGISTRY_UNAVAILABLE", message, { detail: { host, status: answer.status } }),
      true,
    );
  }
}
