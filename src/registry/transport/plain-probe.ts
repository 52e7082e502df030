/**
 * Whether a server on loopback speaks plain HTTP, found out without TLS: reading the system's authorities and making a TLS context
 * takes longer than everything else that a pull with nothing to do does. What is sent is the beginning of a TLS handshake (RFC 8446
 * §4.1.2) that offers no cipher: a TLS server refuses it with an alert, and one of HTTP says that it is no request. The line ends in it
 * are for servers that read a whole line before they judge it. Nothing that belongs to a request is sent.
 */
import { connect } from "node:net";
import { hostnameOf } from "./loopback.ts";

/** A server on this machine that has not answered by then may still do so to a real handshake. */
const PATIENCE_MS = 1000;

const LINE_ENDS = "\r\n\r\n".repeat(8);

/** ClientHello of TLS 1.2: its random bytes, no session, TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746) alone, no compression. */
const HELLO = Buffer.concat([Buffer.from([3, 3]), Buffer.from(LINE_ENDS), Buffer.from([0, 0, 2, 0, 255, 1, 0])]);
const PROBE = Buffer.concat([Buffer.from([22, 3, 1, 0, HELLO.length + 4, 1, 0, 0, HELLO.length]), HELLO]);

/** @param host `host:port` @returns false also when nothing is known: then TLS has to be tried */
export function speaksPlainHttp(host: string, signal: AbortSignal | undefined): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const port = Number(/:(\d+)$/.exec(host)?.[1]);
  const socket = connect({ host: hostnameOf(host), port, timeout: PATIENCE_MS });
  const answer = (isPlain: boolean): void => {
    signal?.removeEventListener("abort", giveUp);
    socket.destroy();
    resolve(isPlain);
  };
  const giveUp = (): void => answer(false);
  signal?.addEventListener("abort", giveUp, { once: true });
  socket.once("connect", () => socket.write(PROBE));
  let heard = "";
  socket.on("data", (bytes) => {
    heard += bytes.toString("latin1");
    if (heard.length >= 5) answer(heard.startsWith("HTTP/"));
  });
  socket.once("end", giveUp);
  socket.once("timeout", giveUp);
  socket.on("error", giveUp);
  if (signal?.aborted === true) giveUp();
  return promise;
}
