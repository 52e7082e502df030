/**
 * The disk image of the copies that grew: ext4 a good deal larger than the files in it, some of which compress and some of which do not. A copy
 * of it that writes its holes out takes nearly twice its space.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "../images/rng.ts";
import { runOk } from "../peers/run.ts";
import { noise } from "../recipe/random-recipe.ts";
import { tempDir } from "../temp-dir.ts";
import { makeExt4 } from "./ext4-tools.ts";

const MIB = 1 << 20;

/** @param path of the file, which is made and is on the disk then */
export async function makeFilledDisk(path: string, bytes: number, dataBytes: number): Promise<void> {
  await using dir = await tempDir("varve-filled-disk-");
  const tree = join(dir.path, "tree");
  await mkdir(tree);
  const rng = createRng(6);
  const contents = [noise(3 * MIB, "files"), rng.text(3 * MIB)];
  for (let left = dataBytes, index = 0; left > 0; index++) {
    const length = Math.min(left, rng.between(64 * 1024, 2_900_000));
    await writeFile(join(tree, `file${index}`), contents[index % 2]!.subarray(0, length));
    left -= length;
  }
  await makeExt4(path, bytes, tree);
  await runOk("sync", [path]);
}
