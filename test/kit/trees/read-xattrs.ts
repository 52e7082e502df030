/** Extended attributes of many files at once, through one run of Python: Node has no call for them. */
import { runOk } from "../peers/run.ts";
import { findPeer } from "../peers.ts";

const SCRIPT = `
import json, os, sys
def read(path):
    try:
        return {os.fsencode(name).decode("utf-8", "surrogateescape"): os.getxattr(path, name, follow_symlinks=False).hex()
                for name in sorted(os.listxattr(path, follow_symlinks=False))}
    except OSError:
        return {}
paths = sys.stdin.buffer.read().split(b"\\0")[:-1]
json.dump([read(path) for path in paths], sys.stdout)
`;

/** For each path its attributes, name to value in hex; the order of the paths is kept. */
export async function readXattrs(paths: readonly Buffer[]): Promise<Record<string, string>[]> {
  const python = findPeer("python3");
  if (python === undefined) throw new Error("reading xattrs needs python3");
  const input = Buffer.concat(paths.flatMap((path) => [path, Buffer.from([0])]));
  const { stdout } = await runOk(python, ["-c", SCRIPT], { input });
  return JSON.parse(stdout.toString("utf8")) as Record<string, string>[];
}
