/** Whether EROFS indexes can be mounted from a directory's file system: by mounting one that holds nothing. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeErofs } from "../../codec/erofs/writer.ts";
import type { IndexTree } from "../../codec/erofs/tree.ts";
import { mountFault } from "../mount/mount-fault.ts";
import { openMount } from "../mount/open-mount.ts";
import { parseMount } from "../mount/parse-mount.ts";
import { withLoops } from "../mount/with-loops.ts";

const EMPTY: IndexTree = {
  root: {
    type: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    modifiedAt: { seconds: 0, nanoseconds: 0 },
    xattrs: undefined,
    size: 0,
    place: undefined,
    target: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    children: new Map(),
  },
  devices: [],
};

/**
 * @param directory where a file can be made, which is left there
 * @returns whether it takes loop devices
 * @throws VarveError that says what is missing
 */
export async function tryErofs(directory: string): Promise<{ readonly loops: boolean }> {
  const index = join(directory, "index.erofs");
  writeFileSync(index, Buffer.concat([...encodeErofs(EMPTY, { uuid: new Uint8Array(16) })]));
  let loops = false;
  try {
    const mount = await withLoops(parseMount({ type: "erofs", source: index, options: ["ro"] }), (parsed) => {
      loops = parsed.source !== index;
      return openMount(parsed);
    });
    mount[Symbol.dispose]();
  } catch (error) {
    throw mountFault(error, "an index cannot be mounted", "erofs");
  }
  return { loops };
}
