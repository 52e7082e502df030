/** Plain HTTP calls to a server of the kit, answered with everything in memory. */
import { request, type Dispatcher } from "undici";

export interface CallAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: Buffer;
  /** The body as JSON. */
  json(): Record<string, unknown>;
  /** The code of the first error in a body as registries send it. */
  code(): string | undefined;
}

export type Call = (
  method: Dispatcher.HttpMethod,
  /** A path at the server, or a whole URL. */
  path: string,
  headers?: Readonly<Record<string, string>>,
  body?: Uint8Array | string | AsyncIterable<Uint8Array>,
) => Promise<CallAnswer>;

/** @param origin such as `http://127.0.0.1:PORT`; asked for at each call, because servers may not be up yet */
export function callsTo(origin: () => string): Call {
  return async (method, path, headers = {}, body) => {
    const url = path.startsWith("http") ? path : `${origin()}${path}`;
    const content = body as Uint8Array | string | undefined;
    const answer = await request(url, { method, headers, ...(content !== undefined && { body: content }) });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    const json = () => JSON.parse(bytes.toString("utf8")) as Record<string, unknown>;
    return {
      status: answer.statusCode,
      headers: answer.headers as Record<string, string | undefined>,
      bytes,
      json,
      code: () => (json()["errors"] as { code: string }[] | undefined)?.[0]?.code,
    };
  };
}
