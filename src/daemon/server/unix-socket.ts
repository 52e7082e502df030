/**
 * The place of a Unix socket: its directory, and what a daemon that died has left there. Nobody else's file is ever removed, and no socket
 * at which somebody answers.
 */
import { chmod, lstat, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import type { HttpServer } from "./http-server.ts";

/** sun_path of sockaddr_un (unix(7)), with its last NUL. */
const MAX_PATH = 107;
/** For the group to read and write, as others have it: who is in the group may have images pulled. */
const SOCKET_MODE = 0o660;

/** Listens there. @throws VarveError `DAEMON_RUNNING`, `FILE_EXISTS`, `PATH_INVALID`, `PERMISSION`, `LISTEN_FAILED` */
export async function listenOnSocket(server: HttpServer, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new VarveError(
      "PATH_INVALID",
      `the socket's path is longer than the ${MAX_PATH} bytes that systems take: ${path}`,
    );
  }
  await makePlace(dirname(path));
  await clearPlace(path);
  try {
    await listening(server, () => {
      // Between its making and its mode nobody else may connect. It is made before `listen` returns, and nothing else meanwhile.
      const before = process.umask(0o177);
      try {
        server.listen(path);
      } finally {
        process.umask(before);
      }
    });
  } catch (error) {
    throw listenError(error, path);
  }
  await chmod(path, SOCKET_MODE);
}

/** Only what it makes itself gets a mode: for the system's daemon others have to reach the socket, a user's is his own. */
async function makePlace(directory: string): Promise<void> {
  try {
    await makeDirectory(directory, { mode: process.getuid?.() === 0 ? 0o755 : 0o700 });
  } catch (error) {
    throw toVarveError(error, "the socket's directory");
  }
}

async function clearPlace(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isSocket()) {
    throw new VarveError("FILE_EXISTS", `${path} is there and is no socket`, {
      hint: "choose another path with --socket",
    });
  }
  if (await somebodyAnswers(path)) {
    throw new VarveError("DAEMON_RUNNING", `another daemon listens at ${path}`);
  }
  await rm(path, { force: true });
}

/** A socket of a process that has ended refuses connections; one that may not be used, or is busy, belongs to somebody. */
function somebodyAnswers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(code !== "ECONNREFUSED" && code !== "ENOENT"));
  });
}

/** Settles when the server listens. */
export async function listening(server: HttpServer, listen: () => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  try {
    listen();
    await promise;
  } finally {
    server.off("error", reject);
    server.off("listening", resolve);
  }
}

export function listenError(error: unknown, place: string): VarveError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return new VarveError("DAEMON_RUNNING", `${place} is in use`, { cause: error });
  return new VarveError("LISTEN_FAILED", `cannot listen at ${place}: ${message}`, { cause: error });
}
