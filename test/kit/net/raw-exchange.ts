/** HTTP by hand over one TCP connection, for tests that must see exactly which bytes came and how the connection ended. */
import { connect } from "node:net";

export interface RawExchange {
  /** Everything that was received. */
  readonly bytes: Buffer;
  /** Up to the empty line; all of it when there was none. */
  readonly head: string;
  /** What follows the empty line. */
  readonly body: Buffer;
  /** `end`: closed in order by the other side. Otherwise the error's code, such as ECONNRESET or ECONNREFUSED. */
  readonly ended: string;
}

interface RawOptions {
  readonly body?: Uint8Array;
  /** The client closes as soon as this many bytes of a body came, and `ended` is `stopped`. */
  readonly stopAfterBody?: number;
}

/**
 * Sends a request with `Connection: close` and reads to the end of the connection.
 */
export async function rawExchange(
  host: string,
  requestLine: string,
  headers: readonly string[] = [],
  options: RawOptions = {},
): Promise<RawExchange> {
  const [address, port] = host.split(":");
  const chunks: Buffer[] = [];
  const ended = await new Promise<string>((resolve) => {
    const socket = connect({ host: address ?? "127.0.0.1", port: Number(port) });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (options.stopAfterBody !== undefined && split(chunks).body.length >= options.stopAfterBody) {
        resolve("stopped");
        socket.destroy();
      }
    });
    socket.on("end", () => resolve("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.write([`${requestLine} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...headers, "", ""].join("\r\n"));
    if (options.body !== undefined) socket.write(options.body);
  });
  return { ...split(chunks), ended };
}

function split(chunks: readonly Buffer[]): Omit<RawExchange, "ended"> {
  const bytes = Buffer.concat(chunks);
  const blank = bytes.indexOf("\r\n\r\n");
  const headEnd = blank < 0 ? bytes.length : blank;
  return { bytes, head: bytes.toString("latin1", 0, headEnd), body: bytes.subarray(headEnd + 4) };
}
