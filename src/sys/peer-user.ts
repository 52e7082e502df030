/** Who is at the other end of a Unix socket, as the kernel knows it (unix(7), SO_PEERCRED). */
import { bindCall, ffiAvailable, type Foreign } from "./libc.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid, uid, gid. */
const UCRED_BYTES = 12;

let getsockopt: Foreign | undefined;

/** The user's number when it connected; undefined where that cannot be told. @param fd of the connection */
export function peerUser(fd: number): number | undefined {
  if (process.platform !== "linux" || !ffiAvailable()) return undefined;
  getsockopt ??= bindCall("int getsockopt(int, int, int, void *, void *)");
  const credentials = new Int32Array(UCRED_BYTES / 4);
  const length = new Uint32Array([UCRED_BYTES]);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0) return undefined;
  const uid = credentials[1];
  return uid === undefined ? undefined : uid >>> 0;
}
