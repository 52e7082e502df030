/** A registry client that reads nothing of the machine it runs on, and whose clock does not wait. */
import { createHash } from "node:crypto";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { parseReference, type Reference } from "../../../src/oci/reference.ts";
import type { TransportEvent } from "../../../src/registry/blob-source.ts";
import { RegistryClient } from "../../../src/registry/client.ts";
import type { RegistryOptions } from "../../../src/registry/options.ts";
import type { OpenBlob } from "../../../src/registry/upload/blob-sink.ts";
import { fakeClock } from "./fake-clock.ts";

export const NO_HOME: NodeJS.ProcessEnv = { HOME: "/nonexistent", XDG_RUNTIME_DIR: "/nonexistent" };

/** Plain HTTP, so that each request that a test counts is one that it wrote an answer for. */
export function testClient(options: RegistryOptions = {}): RegistryClient {
  return new RegistryClient({ registriesConf: false, env: NO_HOME, clock: fakeClock(), plainHttp: true, ...options });
}

export function at(host: string, rest = "team/app:v1"): Reference {
  return parseReference(`${host}/${rest}`);
}

/** Bytes that differ everywhere, so that a piece from the wrong place is seen. */
export function noise(size: number, seed = "varve"): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < size; at += 64) blocks.push(createHash("sha512").update(`${seed} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, size);
}

export function describeBlob(bytes: Uint8Array): Descriptor {
  return { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length };
}

/** The bytes as an upload asks for them, in chunks of an odd size, from wherever it wants them. */
export function opening(bytes: Uint8Array, size = 70_001): OpenBlob {
  return async function* (start) {
    for (let from = start; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  };
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A list that takes events, for `onEvent`. */
export function eventLog(): { events: TransportEvent[]; onEvent: (event: TransportEvent) => void } {
  const events: TransportEvent[] = [];
  return { events, onEvent: (event) => events.push(event) };
}
