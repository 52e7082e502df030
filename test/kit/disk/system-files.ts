/** Files of the system that the tests run on: content as machines have it. Which of them is up to the bytes that are wanted alone. */
import { runOk } from "../peers/run.ts";

export interface SystemFile {
  /** Absolute. */
  readonly path: string;
  readonly size: number;
}

/** Part of all that are wanted that a single file may be. */
const LARGEST = 1 / 8;

/** Every so many of the files of /usr, so that all kinds are among them as they are there: some `bytes` of them, in the order of their paths. */
export async function chooseSystemFiles(bytes: number): Promise<readonly SystemFile[]> {
  const { stdout } = await runOk("find", ["/usr", "-xdev", "-type", "f", "-printf", "%s %p\\0"]);
  const files = stdout
    .toString()
    .split("\0")
    .flatMap((line): SystemFile[] => {
      const [, size, path] = /^(\d+) ([^]+)$/.exec(line) ?? [];
      return path === undefined ? [] : [{ path, size: Number(size) }];
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const fitting = files.filter(({ size }) => size <= bytes * LARGEST);
  const share = Math.min(1, bytes / fitting.reduce((sum, { size }) => sum + size, 0));
  return fitting.filter((_, index) => Math.floor((index + 1) * share) > Math.floor(index * share));
}
