/**
 * From a file to a client inside the kernel (sendfile), which takes half the work of reading and writing: 0.2 to 0.3 s of CPU for a GB
 * beside 0.4 to 0.6. Node has no such call and hides the socket's descriptor, so this is an addition to the usual way and never stands alone: it sends
 * what goes at once, and whoever uses it writes one small chunk in the usual way where it sent nothing, which waits for room, finds
 * errors, and keeps Node's time-outs going.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { canSendToSocket, isInMemory, sendToSocket } from "../../sys/file-to-socket.ts";

/** How far one call goes: a tenth of a millisecond. */
const STEP_BYTES = 256 * 1024;

/** What Node keeps to itself; absent when the connection is closed. */
interface WithHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

/**
 * The next bytes of a response whose first ones went the usual way and have been taken by the kernel.
 * @returns bytes sent, 0 when there is no room for any; `not here` for connections, machines and files that it is not for
 */
export function sendDirectly(
  response: ServerResponse,
  file: number,
  { start, end }: { readonly start: number; readonly end: number },
): number | "not here" {
  const socket = rawSocket(response);
  const length = Math.min(STEP_BYTES, end - start);
  if (socket === undefined || !isInMemory(file, start + length - 1)) return "not here";
  return sendToSocket(socket, file, start, length);
}

/**
 * The descriptor, when bytes put into it would be the next of this response's body: all that was written has been taken by
 * the kernel, and neither a cipher nor a framing stands between. Valid until the event loop goes on: then it may be another connection's.
 */
function rawSocket(response: ServerResponse): number | undefined {
  const { socket } = response;
  if (socket === null || socket.destroyed || "encrypted" in socket) return undefined;
  if (!response.headersSent || response.chunkedEncoding) return undefined;
  if (response.writableLength > 0 || socket.writableLength > 0 || !canSendToSocket()) return undefined;
  const { fd = -1 } = (socket as Socket & WithHandle)._handle ?? {};
  return fd >= 0 ? fd : undefined;
}
