/** Changes made to a directory as programs make them, in the words of the conformance suites that containerd's differs are held to. */
import { createServer } from "node:net";
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runOk } from "../peers/run.ts";

/** Changes the tree below a directory. */
export type Edit = (root: string) => void | Promise<void>;

export const edits =
  (...all: readonly Edit[]): Edit =>
  async (root) => {
    for (const edit of all) await edit(root);
  };

/** With its parents; all new ones get the mode. */
export const createDir =
  (path: string, mode: number): Edit =>
  (root) => {
    const first = mkdirSync(join(root, path), { recursive: true, mode });
    if (first !== undefined) chmodSync(first, mode);
    chmodSync(join(root, path), mode);
  };

/** Or writes over it, in place. */
export const createFile =
  (path: string, content: string | Uint8Array, mode: number): Edit =>
  (root) => {
    writeFileSync(join(root, path), content);
    chmodSync(join(root, path), mode);
  };

export const chmod =
  (path: string, mode: number): Edit =>
  (root) =>
    chmodSync(join(root, path), mode);

export const remove =
  (path: string): Edit =>
  (root) =>
    unlinkSync(join(root, path));

export const removeAll =
  (path: string): Edit =>
  (root) =>
    rmSync(join(root, path), { recursive: true });

export const rename =
  (from: string, to: string): Edit =>
  (root) =>
    renameSync(join(root, from), join(root, to));

export const link =
  (from: string, to: string): Edit =>
  (root) =>
    linkSync(join(root, from), join(root, to));

export const symlink =
  (target: string, path: string): Edit =>
  (root) =>
    symlinkSync(target, join(root, path));

/** What a server leaves behind that was killed. */
export const createSocket =
  (path: string): Edit =>
  async (root) => {
    // The name of a socket may have about a hundred bytes, so it is made where it is short and moved.
    const server = createServer();
    const place = join(root, path);
    await new Promise<void>((resolve) => server.listen(`${place}.s`, resolve));
    linkSync(`${place}.s`, place);
    await new Promise((resolve) => server.close(resolve));
  };

/** To the last bit, hard links and times included. */
export async function copyTree(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  await runOk("cp", ["--archive", "--no-target-directory", from, to]);
}
