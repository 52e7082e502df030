/** What can go wrong between a client and a registry, as values: scripts are data, so that they can be printed. */
export type Fault =
  /** Instead of the registry's answer: this one. `retryAfter` in seconds or as an HTTP date. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly retryAfter?: number | string;
    }
  /** Instead of the registry's answer: go to this origin (`http://127.0.0.1:PORT`), same path. Default status 307. */
  | { readonly kind: "redirect"; readonly to: string; readonly status?: number }
  /** Instead of an answer: the connection is reset. */
  | { readonly kind: "reset" }
  /** Instead of an answer: bytes that are not HTTP, then the end. */
  | { readonly kind: "garbage"; readonly bytes?: string }
  /** The registry does what was asked, but its answer never arrives: the connection is reset. */
  | { readonly kind: "loseAnswer" }
  /** The connection breaks after this many bytes of the request's body went to the registry. */
  | { readonly kind: "dropUpload"; readonly afterBytes: number }
  /** The registry never sees the Range header, and answers 200 with the whole blob. */
  | { readonly kind: "ignoreRange" }
  /** Content-Range says this, whatever the bytes are. */
  | { readonly kind: "contentRange"; readonly value: string }
  /** Header fields of the answer, laid over the registry's; undefined removes one. */
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string | undefined>> }
  /** No Content-Length: the body comes in chunked transfer coding. */
  | { readonly kind: "chunked" }
  /**
   * The body breaks off after this many bytes while Content-Length promised more. `close` (default): in order, so the
   * client gets every byte before the end. `reset`: the client may lose bytes that it had not read yet.
   */
  | { readonly kind: "drop"; readonly afterBytes: number; readonly how?: "close" | "reset" }
  /** The body stops after this many bytes and the connection stays open, silent, until the client gives up. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** The answer is complete and well-formed HTTP, but only the first bytes of the body are in it. */
  | { readonly kind: "truncate"; readonly toBytes: number }
  /** One bit of the body is wrong: the lowest of the byte at this offset. */
  | { readonly kind: "flip"; readonly atByte: number }
  /** The body has these bytes more than it should. */
  | { readonly kind: "append"; readonly bytes: number }
  /** The body comes no faster than this. */
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** The request waits this long before it goes to the registry. */
  | { readonly kind: "latency"; readonly ms: number };

/** The faults that answer by themselves, without the registry. */
export type OwnAnswer = Extract<Fault, { readonly kind: "status" | "redirect" | "reset" | "garbage" }>;

export function isOwnAnswer(fault: Fault): fault is OwnAnswer {
  return fault.kind === "status" || fault.kind === "redirect" || fault.kind === "reset" || fault.kind === "garbage";
}

/** The fault of this kind among those that apply, if any. */
export function findFault<K extends Fault["kind"]>(
  faults: readonly Fault[],
  kind: K,
): Extract<Fault, { readonly kind: K }> | undefined {
  return faults.find((fault): fault is Extract<Fault, { readonly kind: K }> => fault.kind === kind);
}
