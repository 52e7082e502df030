/**
 * Opens a blob's body at one endpoint, from a byte on: which request to make and what its answer means, strictly by the
 * rules of RFC 9110 §14 and what registries make of them.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { Descriptor } from "../oci/descriptor.ts";
import { stripParameters } from "../oci/media-types.ts";
import type { Caller } from "./attempts.ts";
import type { BlobOrigins } from "./blob-origins.ts";
import { parseContentRange } from "./content-range.ts";
import type { Endpoint } from "./endpoint.ts";
import type { RangeSupport } from "./range-support.ts";
import type { Ask, Session, SessionAnswer } from "./session.ts";
import type { SignedUrls } from "./signed-urls.ts";
import { abandon, discard } from "./transport/body.ts";
import { RegistryFailure } from "./transport/failure.ts";
import type { Admission } from "./transport/host-gates.ts";
import { contentLength, header } from "./transport/transport.ts";

/** A 200 to a range request is still used when the range begins within this many bytes: they are read and dropped. */
export const NEAR_OFFSET = 1024 * 1024;

export interface Wanted {
  readonly blob: Descriptor;
  /** Where the caller's range begins. */
  readonly start: number;
  /** Exclusive end of the caller's range. */
  readonly end: number;
  /** The first byte that is still missing. */
  readonly position: number;
}

export interface OpenBody {
  readonly body: Readable;
  /** Place in the blob of the body's first byte. */
  readonly offset: number;
  /** Place in the blob where the body must end, exclusive. */
  readonly limit: number;
  readonly host: string;
  readonly admission: Admission;
  /** Milliseconds that the registry took to answer, without what was waited for before: logging in, other requests. */
  readonly latencyMs: number;
}

export interface OpenerContext {
  readonly session: Session;
  readonly ranges: RangeSupport;
  readonly urls: SignedUrls;
  readonly origins: BlobOrigins;
  /** The registry as the reference names it. */
  readonly registry: string;
  readonly subject: string;
}

/** Statuses that a store gives for a signed URL that is no longer good. */
const EXPIRED = new Set([400, 401, 403, 404, 410]);
/** Statuses that mean that the host does not want this range, or any. */
const RANGE_REFUSED = new Set([400, 416, 501]);

export class BlobOpener {
  readonly #context: OpenerContext;
  readonly #caller: Caller;
  /** Endpoints that refused a Range header for this blob: asked without one. */
  readonly #plain = new Set<Endpoint>();

  constructor(context: OpenerContext, caller: Caller) {
    this.#context = context;
    this.#caller = caller;
  }

  async open(endpoint: Endpoint, wanted: Wanted): Promise<OpenBody> {
    const { position, end, start, blob } = wanted;
    const whole = position === 0 && end === blob.size;
    const beginning = position === start && position > NEAR_OFFSET;
    if (beginning && this.#context.ranges.of(endpoint.host) === false) throw this.#unsupported(endpoint.host);
    for (;;) {
      const ranged = !whole && !this.#plain.has(endpoint);
      const answer = await this.#request(endpoint, wanted, ranged);
      const opened = await this.#judge(endpoint, wanted, ranged, answer);
      if (opened === undefined) continue;
      this.#context.origins.gave(endpoint, blob.digest);
      return opened;
    }
  }

  /** Undefined asks for another try without a Range header. */
  async #judge(
    endpoint: Endpoint,
    wanted: Wanted,
    ranged: boolean,
    answer: SessionAnswer,
  ): Promise<OpenBody | undefined> {
    if (answer.status === 200) return this.#full(endpoint, wanted, ranged, answer);
    if (answer.status === 206) {
      if (!ranged) throw this.#protocol(answer, "a part of it, though all of it was asked for");
      const partial = this.#partial(endpoint, wanted, answer);
      if (partial !== undefined) return partial;
    } else if (!ranged || !RANGE_REFUSED.has(answer.status)) {
      throw await this.#context.session.refusal(answer, this.#ask({}), "BLOB_UNKNOWN");
    } else {
      await this.#checkUnsatisfied(wanted, answer);
    }
    this.#ignored(endpoint, answer);
    if (wanted.start > NEAR_OFFSET) throw this.#unsupported(answer.url.host);
    this.#plain.add(endpoint);
    return undefined;
  }

  #full(endpoint: Endpoint, wanted: Wanted, ranged: boolean, answer: SessionAnswer): OpenBody {
    const { blob, start } = wanted;
    const length = contentLength(answer.headers);
    if (length !== undefined && length !== blob.size) throw this.#wrongSize(answer, length, blob.size);
    if (ranged) {
      this.#ignored(endpoint, answer);
      if (start > NEAR_OFFSET) {
        abandon(answer.body);
        throw this.#unsupported(answer.url.host);
      }
    }
    const { body, admission, latencyMs } = answer;
    return { body, admission, offset: 0, limit: blob.size, host: answer.url.host, latencyMs };
  }

  /** Undefined when the answer cannot be used, and its body is gone. */
  #partial(endpoint: Endpoint, wanted: Wanted, answer: SessionAnswer): OpenBody | undefined {
    const { headers, url } = answer;
    const range = isMultipart(headers) ? undefined : parseContentRange(header(headers, "content-range"));
    const length = contentLength(headers);
    const { start, end, size } = range ?? {};
    if (size !== undefined && size !== wanted.blob.size) throw this.#wrongSize(answer, size, wanted.blob.size);
    const right = start === wanted.position && end !== undefined && end <= wanted.blob.size;
    if (!right || (length !== undefined && length !== end - start)) {
      abandon(answer.body);
      return undefined;
    }
    this.#context.ranges.learn([this.#context.registry, endpoint.host, url.host], true);
    const { body, admission, latencyMs } = answer;
    return { body, admission, offset: start, limit: end, host: url.host, latencyMs };
  }

  /** A 416 tells the size that the server thinks the blob has; another than the descriptor's is another blob. */
  async #checkUnsatisfied(wanted: Wanted, answer: SessionAnswer): Promise<void> {
    const size = answer.status === 416 ? parseContentRange(header(answer.headers, "content-range"))?.size : undefined;
    if (size !== undefined && size !== wanted.blob.size) throw this.#wrongSize(answer, size, wanted.blob.size);
    await discard(answer.body, contentLength(answer.headers));
  }

  async #request(endpoint: Endpoint, wanted: Wanted, ranged: boolean): Promise<SessionAnswer> {
    const { session, urls } = this.#context;
    const { digest } = wanted.blob;
    // Some registries answer 400 to a Range they did not ask for, so a whole blob is asked for without one.
    const range = ranged ? { range: `bytes=${wanted.position}-${wanted.end - 1}` } : {};
    const ask = { ...this.#ask(range), path: `/blobs/${digest}` };
    const known = ranged ? urls.get(endpoint, digest) : undefined;
    if (known !== undefined) {
      const direct = await this.#direct(endpoint, wanted, known, ask);
      if (direct !== undefined) return direct;
    }
    for (let resolutions = 1; ; resolutions++) {
      const answer = await session.send(endpoint, ask);
      if (!answer.elsewhere) return answer;
      // Signed only just now, and yet refused: resolve once more, then believe it.
      if (EXPIRED.has(answer.status) && resolutions < 2 && known === undefined && answer.status !== 400) {
        await discard(answer.body, contentLength(answer.headers));
        continue;
      }
      if (answer.status === 200 || answer.status === 206) urls.set(endpoint, digest, answer.url);
      return answer;
    }
  }

  /** Undefined when the URL is not good any more. */
  async #direct(endpoint: Endpoint, wanted: Wanted, url: URL, ask: Ask): Promise<SessionAnswer | undefined> {
    const { session, urls } = this.#context;
    const { digest } = wanted.blob;
    let answer: SessionAnswer;
    try {
      answer = await session.follow(endpoint, url, ask);
    } catch (error) {
      // The host behind it may be the one that is down: the next attempt asks the registry for another.
      urls.drop(endpoint, digest, url);
      throw error;
    }
    if (!EXPIRED.has(answer.status)) return answer;
    urls.drop(endpoint, digest, url);
    await discard(answer.body, contentLength(answer.headers));
    return undefined;
  }

  #ask(range: Readonly<Record<string, string>>): Ask {
    return {
      method: "GET",
      path: "",
      // Compression on top would make offsets and sizes those of the compressed bytes.
      headers: { "accept-encoding": "identity", ...range },
      bulk: true,
      subject: this.#context.subject,
      ...this.#caller,
    };
  }

  #ignored(endpoint: Endpoint, answer: SessionAnswer): void {
    this.#context.ranges.learn([this.#context.registry, endpoint.host, answer.url.host], false);
    this.#caller.onEvent?.({ type: "range-ignored", host: answer.url.host });
  }

  #unsupported(host: string): RegistryFailure {
    return new RegistryFailure("RANGE_UNSUPPORTED", `${this.#context.subject}: ${host} does not serve ranges`, {
      detail: { host },
    });
  }

  #wrongSize(answer: SessionAnswer, size: number, expected: number): RegistryFailure {
    abandon(answer.body);
    const encoding = header(answer.headers, "content-encoding");
    const why = encoding === undefined ? "" : ` with Content-Encoding ${encoding.slice(0, 20)}`;
    const message = `${this.#context.subject}: ${answer.url.host} has ${size} bytes${why}, not ${expected}`;
    return new RegistryFailure("SIZE_MISMATCH", message, { detail: { host: answer.url.host, size, expected } });
  }

  #protocol(answer: SessionAnswer, what: string): RegistryFailure {
    abandon(answer.body);
    const message = `${this.#context.subject}: ${answer.url.host} sent ${what}`;
    return new RegistryFailure("REGISTRY_PROTOCOL", message, { detail: { host: answer.url.host } });
  }
}

/** Asked for one range, so several parts are an answer to some other question. */
function isMultipart(headers: IncomingHttpHeaders): boolean {
  return stripParameters(header(headers, "content-type") ?? "").startsWith("multipart/");
}
