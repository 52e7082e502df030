/** One datagram to a Unix socket (unix(7), SOCK_DGRAM), which Node has no way to send: systemd is told of a service's state so. */
import { systemError } from "./errno.ts";
import { bind, bindCall, lastErrno } from "./libc.ts";
import { VarveError } from "../errors/varve-error.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** sun_path of sockaddr_un. */
const MAX_PATH = 108;

/**
 * @param address a path, or a name of Linux' abstract namespace with `@` before it
 * @throws VarveError `FFI_UNAVAILABLE`; NodeJS.ErrnoException when nobody takes it
 */
export function sendDatagram(address: string, payload: Uint8Array): void {
  if (process.platform !== "linux")
    throw new VarveError("FFI_UNAVAILABLE", "datagrams to Unix sockets are sent on Linux only");
  const place = socketAddress(address);
  const socket = bindCall("int socket(int, int, int)");
  const sendto = bind("int64_t sendto(int, const void *, size_t, int, const void *, unsigned int)");
  const close = bind("int close(int)");
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(-fd, "socket");
  try {
    if (sendto(fd, payload, payload.length, MSG_NOSIGNAL, place, place.length) < 0) {
      throw systemError(lastErrno(), "sendto", address);
    }
  } finally {
    close(fd);
  }
}

/** struct sockaddr_un: an abstract name ends where the address ends, a path with a NUL. */
function socketAddress(address: string): Uint8Array {
  const name = Buffer.from(address);
  if (name.length === 0 || name.length >= MAX_PATH || name.includes(0)) {
    throw new VarveError("PATH_INVALID", `no socket can have the address ${JSON.stringify(address.slice(0, 200))}`);
  }
  const isAbstract = address.startsWith("@");
  const bytes = Buffer.alloc(2 + name.length + (isAbstract ? 0 : 1));
  new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] = AF_UNIX;
  name.copy(bytes, 2);
  if (isAbstract) bytes[2] = 0;
  return bytes;
}
