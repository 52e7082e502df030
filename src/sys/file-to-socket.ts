/**
 * sendfile(2): bytes from a file into a socket without passing through this process. The socket is one that the runtime polls, so it never waits
 * for room; a file would be waited for, so what is not in memory is told from what is by preadv2(2) with RWF_NOWAIT, which also has the
 * kernel begin to read it.
 */
import { bind, ffiAvailable, memoryAddress, type Foreign } from "./libc.ts";

const RWF_NOWAIT = 8;

interface Calls {
  readonly sendfile: Foreign;
  readonly preadv2: Foreign;
}

/** Where sendfile reads from: it takes an int64 by its address. */
const offset = new BigInt64Array(1);
/** What {@link isInMemory} reads into. It lives as long as the process, for struct iovec has its address and nothing else would hold it. */
const probe = Buffer.allocUnsafeSlow(1);
const probeVector = new BigUint64Array(2);

let calls: Calls | undefined;
let missing = false;

/** Whether this machine has these calls. Linux with foreign calls: musl has no preadv2, and other systems' sendfile is another one. */
export function canSendToSocket(): boolean {
  if (process.platform !== "linux" || missing || !ffiAvailable()) return false;
  if (calls !== undefined) return true;
  try {
    calls = {
      sendfile: bind("int64_t sendfile(int, int, void *, size_t)"),
      preadv2: bind("int64_t preadv2(int, const void *, int, int64_t, int)"),
    };
    probeVector.set([memoryAddress(probe), 1n]);
  } catch {
    missing = true;
  }
  return calls !== undefined;
}

/**
 * Whether the byte at `position` can be had without waiting for a disk. No is also the answer of file systems that cannot tell, and beyond
 * the file's end. Only after {@link canSendToSocket} said yes.
 */
export function isInMemory(file: number, position: number): boolean {
  return calls !== undefined && calls.preadv2(file, probeVector, 1, position, RWF_NOWAIT) === 1;
}

/**
 * Sends as much of `[position, position + length)` as the socket has room for. Only after {@link canSendToSocket} said yes.
 * @param socket non-blocking, and nothing else is being written to it
 * @returns bytes sent; 0 when there is no room, when the file is shorter, when the connection broke, and where these two cannot be
 * joined: whoever writes the next bytes in the usual way finds out which
 */
export function sendToSocket(socket: number, file: number, position: number, length: number): number {
  if (calls === undefined) return 0;
  offset[0] = BigInt(position);
  return Math.max(0, calls.sendfile(socket, file, offset, length));
}
