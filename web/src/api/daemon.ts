/** The daemon that this page came from, by its own client. */
import { openClient } from "../../../src/daemon/client/client.ts";
import type { Connection } from "../../../src/daemon/client/send.ts";
import { VarveError } from "../../../src/errors/varve-error.ts";
import { token, wantToken } from "./token.ts";

/** Of a list that comes in parts; what is beyond would not be looked at. */
const MOST_PARTS = 10;
/** Requests at once, so that the page leaves the daemon's other clients their share. */
const AT_ONCE = 4;

/** Each request has the token of now, and whoever asks for tokens knows when it is refused. */
async function fetchWithToken(url: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  const known = token();
  if (known !== null) headers.set("authorization", `Bearer ${known}`);
  const response = await fetch(url, { ...init, headers, cache: "no-store", credentials: "same-origin" });
  if (response.status === 401) wantToken();
  return response;
}

export const connection: Connection = { base: "", token: undefined, fetch: fetchWithToken };

export const daemon = openClient({ url: "", fetch: fetchWithToken });

/** All parts of a list, up to a thousand rows. */
export async function allOf<Row>(
  part: (after: {
    readonly limit: number;
    readonly after?: string;
  }) => Promise<{ rows: readonly Row[]; next: string | null }>,
): Promise<Row[]> {
  const all: Row[] = [];
  let after: string | null = null;
  for (let turn = 0; turn < MOST_PARTS; turn++) {
    const { rows, next } = await part({ limit: 100, ...(after !== null && { after }) });
    all.push(...rows);
    if (next === null) break;
    after = next;
  }
  return all;
}

/** Each in its place; a few requests at once. */
export async function inTurns<From, To>(all: readonly From[], get: (from: From) => Promise<To>): Promise<To[]> {
  const results: To[] = [];
  const left = all.entries();
  const worker = async (): Promise<void> => {
    for (const [at, from] of left) results[at] = await get(from);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

/** What a view can show of whatever was thrown. */
export type Trouble = Pick<VarveError, "code" | "message" | "hint">;

export function toTrouble(thrown: unknown): Trouble {
  if (thrown instanceof VarveError) return thrown;
  return new VarveError("INTERNAL", thrown instanceof Error ? thrown.message : String(thrown));
}
