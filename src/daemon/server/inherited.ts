/**
 * Sockets that systemd has opened for the daemon (sd_listen_fds(3)): from descriptor 3 on, as many as LISTEN_FDS says, for the process that
 * LISTEN_PID names. So a port below 1024 needs no rights here, and no connection is refused while the daemon starts anew.
 */
import { readFile, readlink } from "node:fs/promises";
import { fstatSync } from "node:fs";
import { VarveError } from "../../errors/varve-error.ts";

const FIRST = 3;
const MOST = 64;

/**
 * Takes the variables out of the environment, so that programs that are started later do not think they were meant.
 * @throws VarveError `CONFIGURATION_INVALID`
 */
export function takeInherited(env: NodeJS.ProcessEnv): readonly number[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count, VARVE_OWN_NODE: ownNode } = env;
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name];
  if (count === undefined || pid === undefined) return [];
  // Where an older Node is installed, bin/varve.js starts ours below it and passes them on.
  const isMeant = Number(pid) === process.pid || (ownNode !== undefined && Number(pid) === process.ppid);
  if (!isMeant) return [];
  if (!/^\d{1,3}$/.test(count) || Number(count) > MOST)
    throw invalid(`LISTEN_FDS is ${JSON.stringify(count.slice(0, 40))}`);
  const descriptors = Array.from({ length: Number(count) }, (_, at) => FIRST + at);
  for (const fd of descriptors) if (!isSocket(fd)) throw invalid(`file descriptor ${fd} is no socket`);
  return descriptors;
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** Of a Unix socket: where it is, or an abstract name after `@`. Undefined for other sockets. */
export async function pathOfInherited(fd: number): Promise<string | undefined> {
  const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/self/fd/${fd}`))?.[1];
  // proc(5): Num RefCount Protocol Flags Type St Inode Path
  for (const line of (await readFile("/proc/net/unix", "utf8")).split("\n")) {
    const [, , , , , , its, path] = line.trim().split(/\s+/, 8);
    if (its === inode) return path ?? "a socket without a name";
  }
  return undefined;
}

function invalid(what: string): VarveError {
  return new VarveError("CONFIGURATION_INVALID", `the sockets that were handed over cannot be used: ${what}`, {
    hint: "check the socket unit; the daemon takes listening stream sockets",
  });
}
