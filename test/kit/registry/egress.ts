/**
 * An object store that may send only so much: as Azure Blob behind GHCR, it then answers 503 "Egress is over the account limit",
 * until it has refused often enough.
 */
import type { ServerResponse } from "node:http";

export interface EgressOptions {
  /** Body bytes of blobs until it refuses. */
  readonly bytes: number;
  /** So many requests are refused before it sends again. Default 1. */
  readonly refusals?: number;
  /** Bodies under way are cut off when the limit is reached; else they are seen through. Default false. */
  readonly cuts?: boolean;
  /** `Retry-After`, seconds. Default: it does not say. */
  readonly retryAfter?: number;
}

/** Azure's own form, byte order mark included. */
const BODY =
  '\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>ServerBusy</Code><Message>Egress is over the account limit.\n' +
  "RequestId:00000000-0000-0000-0000-000000000000\nTime:2026-01-01T00:00:00.0000000Z</Message></Error>";

export class EgressLimit {
  readonly #options: EgressOptions;
  #left: number;
  #refusals = 0;
  /** How often it has refused. */
  refused = 0;

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#left = options.bytes;
  }

  /** Answers a request itself when nothing may be sent now; else counts what the answer sends. */
  refuses(response: ServerResponse): boolean {
    if (this.#left > 0) {
      this.#meter(response);
      return false;
    }
    const { bytes, refusals = 1, retryAfter } = this.#options;
    this.refused++;
    if (++this.#refusals >= refusals) {
      this.#refusals = 0;
      this.#left = bytes;
    }
    response.writeHead(503, {
      "content-type": "application/xml",
      "content-length": Buffer.byteLength(BODY).toString(),
      "x-ms-error-code": "ServerBusy",
      ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
    });
    response.end(BODY);
    return true;
  }

  #meter(response: ServerResponse): void {
    const write = response.write.bind(response) as (chunk: unknown, ...rest: unknown[]) => boolean;
    let cut = false;
    response.write = ((chunk: unknown, ...rest: unknown[]) => {
      if (cut) return false;
      if (!(chunk instanceof Uint8Array)) return write(chunk, ...rest);
      const allowed = this.#left;
      this.#left = Math.max(0, allowed - chunk.length);
      cut = this.#options.cuts === true && chunk.length > allowed;
      return cut ? write(chunk.subarray(0, allowed), () => response.socket?.end()) : write(chunk, ...rest);
    }) as typeof response.write;
  }
}
