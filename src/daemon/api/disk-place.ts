/**
 * A place below the directory that disks may be read from and written to over the API. Each name on the way is opened in the directory before
 * it and through no link or mount, and what was opened is held: whoever changes names meanwhile changes nothing here.
 */
import { constants } from "node:fs";
import { VarveError } from "../../errors/varve-error.ts";
import { AT_FDCWD, atCalls, O_PATH, OPEN_DIRECTORY, type AtCalls } from "../../sys/at.ts";
import { systemError } from "../../sys/errno.ts";
import { openBelow } from "../../sys/open-below.ts";
import { toVarveError } from "../../errors/from-system.ts";

export interface DiskPlace extends AsyncDisposable {
  /** For the use cases; good as long as this is open. */
  readonly path: string;
  /** What a use case says, with the path as people know it. */
  readonly shown: <Result>(result: Result) => Result;
  /** The same for what it throws. */
  readonly rethrow: (error: unknown) => never;
  /** @throws VarveError `FILE_EXISTS` */
  mustBeFree(): Promise<void>;
}

const MOST_NAMES = 64;
/** Parts of a machine's directory that an import follows by name. */
const MACHINE_FILES = ["config.json", "disk.img", "nvram.bin"];

/**
 * @param root `diskDirectory` of the configuration
 * @param use to `read` something has to be there
 * @throws VarveError `DISKS_CLOSED` for what is not below the root or leads out of it; `FILE_NOT_FOUND`, `PATH_INVALID`
 */
export async function openDiskPlace(root: string | null, path: string, use: "read" | "write"): Promise<DiskPlace> {
  if (root === null) throw new VarveError("DISKS_CLOSED", "this daemon reads and writes no disks for the API");
  const names = namesOf(path);
  const at = atCalls();
  using held = new DisposableStack();
  const hold = (fd: number): number => {
    held.defer(() => void at.close(fd));
    return fd;
  };
  const top = at.open(AT_FDCWD, root, O_PATH | constants.O_DIRECTORY, 0);
  if (top < 0) throw toVarveError(systemError(-top, "open", root), "opening the directory of disks");
  let directory = hold(top);
  const last = names.pop() ?? "";
  for (const name of names) directory = hold(openOne(at, directory, name, OPEN_DIRECTORY, path));
  const kind = kindOf(at, directory, last, path);
  if (kind === "none" && use === "read") throw new VarveError("FILE_NOT_FOUND", `there is no ${path}`);
  const opened = use === "read" ? hold(openToRead(at, directory, last, kind, path)) : undefined;
  const inner = opened === undefined ? `${proc(directory)}/${last}` : proc(opened);
  const outer = [root.replace(/\/+$/, ""), ...names, last].join("/");
  const owned = held.move();
  return {
    path: inner,
    shown: (result) => withText(result, inner, outer) as typeof result,
    rethrow(error) {
      if (!(error instanceof VarveError)) throw error;
      const [message, hint] = [error.message, error.hint].map((text) => text.replaceAll(inner, outer));
      throw new VarveError(error.code, message ?? "", { hint: hint ?? "", cause: error, detail: error.detail });
    },
    async mustBeFree() {
      if (kindOf(at, directory, last, path) === "none") return;
      throw new VarveError("FILE_EXISTS", `${outer} is there`, { hint: 'choose another path, or add "force": true' });
    },
    async [Symbol.asyncDispose]() {
      owned.dispose();
    },
  };
}

/** Of this process, by a name that programs which it starts know too. */
function proc(fd: number): string {
  return `/proc/${process.pid}/fd/${fd}`;
}

function namesOf(path: string): string[] {
  const names = path.split("/");
  const isPlain = (name: string): boolean =>
    name !== "" && name !== "." && name !== ".." && name.isWellFormed() && !/\p{Cc}/u.test(name);
  if (names.length <= MOST_NAMES && names.every(isPlain)) return names;
  throw closed(path, "is not names with slashes between them");
}

/** @throws VarveError `DISKS_CLOSED` for links and mounts */
function openOne(at: AtCalls, directory: number, name: string, flags: number, path: string): number {
  const fd = openBelow(at, directory, name, flags);
  if (fd >= 0) return fd;
  const kind = kindOf(at, directory, name, path);
  const { code } = systemError(-fd, "open");
  if (code === "EXDEV") throw closed(path, "leads over a mount");
  if (kind === "none") throw new VarveError("FILE_NOT_FOUND", `there is no ${path}`);
  if (code === "ENOTDIR") throw new VarveError("PATH_INVALID", `${JSON.stringify(name)} in ${path} is no directory`);
  throw toVarveError(systemError(-fd, "open", path));
}

function openToRead(at: AtCalls, directory: number, name: string, kind: "file" | "directory" | "none", path: string) {
  if (kind === "file") return openOne(at, directory, name, constants.O_RDONLY | constants.O_NOFOLLOW, path);
  const machine = openOne(at, directory, name, OPEN_DIRECTORY, path);
  try {
    for (const part of MACHINE_FILES) kindOf(at, machine, part, `${path}/${part}`);
  } catch (error) {
    at.close(machine);
    throw error;
  }
  return machine;
}

/** @throws VarveError `DISKS_CLOSED` for a link, `PATH_INVALID` for a device, a socket or a pipe */
function kindOf(at: AtCalls, directory: number, name: string, path: string): "file" | "directory" | "none" {
  const found = at.stat(directory, name);
  if (typeof found === "number") {
    const error = systemError(-found, "stat", path);
    if (error.code === "ENOENT") return "none";
    throw error.code === "ENAMETOOLONG"
      ? new VarveError("PATH_INVALID", "a name is too long", { cause: error })
      : toVarveError(error);
  }
  const type = found.mode & constants.S_IFMT;
  if (type === constants.S_IFREG) return "file";
  if (type === constants.S_IFDIR) return "directory";
  if (type === constants.S_IFLNK) throw closed(path, "leads over a link");
  throw new VarveError("PATH_INVALID", `${path} is neither a file nor a directory`);
}

function closed(path: string, why: string): VarveError {
  return new VarveError("DISKS_CLOSED", `${JSON.stringify(path.slice(0, 160))} ${why}`, {
    hint: "name a path below the daemon's diskDirectory, without . and .. and links",
  });
}

/** A copy with the text in place of the other wherever it stands. */
function withText(value: unknown, from: string, to: string): unknown {
  if (typeof value === "string") return value.replaceAll(from, to);
  if (Array.isArray(value)) return value.map((item) => withText(item, from, to));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withText(item, from, to)]));
}
