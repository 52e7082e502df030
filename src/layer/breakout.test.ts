import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { hostileTars, OUTSIDE_FILES, type HostileTar, type Wanted } from "../../test/kit/hostile-tars.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { bindLayers, canMountOverlays, mountOverlay } from "../../test/kit/layer/overlay-layers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { VarveError } from "../errors/varve-error.ts";
import { withoutFfi } from "../sys/libc.ts";
import { applyLayer } from "./apply-layer.ts";
import { LayerApplier } from "./apply.ts";

interface Scene extends AsyncDisposable {
  readonly root: string;
  readonly outside: string;
}

async function scene(): Promise<Scene> {
  const dir = await tempDir();
  const [root, outside] = [join(dir.path, "root"), join(dir.path, "outside")];
  mkdirSync(root);
  for (const [path, content] of Object.entries(OUTSIDE_FILES)) {
    mkdirSync(dirname(join(outside, path)), { recursive: true });
    writeFileSync(join(outside, path), content);
  }
  chmodSync(join(outside, "perm400"), 0o400);
  return { root, outside, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

async function applyAll(root: string, { layers }: HostileTar): Promise<unknown> {
  using applier = new LayerApplier(root);
  try {
    for (const layer of layers) {
      const tar = packTree(layer);
      // Two pieces, cut where it hurts: inside a header.
      await applyLayer(chunks(tar.subarray(0, 700), tar.subarray(700)), applier);
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** What can be seen of the layers when each was unpacked by itself and all are merged; and what has to be closed then. */
async function mergeAll(base: string, { layers }: HostileTar): Promise<{ root: string; close: () => void } | Error> {
  mkdirSync(base);
  try {
    const directories = (await bindLayers(base, layers)).map(({ directory }) => directory);
    const [only = ""] = directories;
    if (directories.length === 1) return { root: only, close: () => {} };
    const mount = mountOverlay(directories);
    return { root: mount.path, close: () => mount[Symbol.dispose]() };
  } catch (error) {
    return error as Error;
  }
}

async function* chunks(...pieces: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

function found(path: string): Wanted | { other: number } {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return "absent";
  if (stats.isSymbolicLink()) return { link: readlinkSync(path) };
  if (stats.isDirectory()) return "directory";
  return stats.isFile() ? { file: readFileSync(path, "utf8") } : { other: stats.mode };
}

/** Everything that a tar might change of what lies outside. */
function canary(outside: string): unknown[] {
  return readdirSync(outside, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((path) => {
      const { mode, uid, gid, mtimeNs, ino, nlink } = lstatSync(join(outside, path), { bigint: true });
      return [path, mode, uid, gid, mtimeNs, ino, nlink, found(join(outside, path))];
    });
}

const names = hostileTars("/outside").map(({ name }) => name);

function expectWanted(root: string, hostile: HostileTar): void {
  const seen = Object.keys(hostile.wanted ?? {}).map((path) => [path, found(join(root, path))]);
  expect(Object.fromEntries(seen)).toEqual(hostile.wanted ?? {});
  for (const [one, other] of hostile.same ?? []) {
    expect(lstatSync(join(root, one)).ino).toBe(lstatSync(join(root, other)).ino);
  }
}

function tarNamed(name: string, outside: string): HostileTar {
  const hostile = hostileTars(outside).find((each) => each.name === name);
  if (hostile === undefined) throw new Error(`no tar named ${name}`);
  return hostile;
}

describe.each([
  { how: "with foreign calls", plain: false },
  { how: "in plain Node", plain: true },
])("no tar reaches outside its root, $how", ({ plain }) => {
  it.each(names)("%s", async (name) => {
    await using at = await scene();
    const hostile = tarNamed(name, at.outside);
    const before = canary(at.outside);
    let error: unknown;
    {
      using _mode = plain ? withoutFfi() : undefined;
      error = await applyAll(at.root, hostile);
    }
    expect(canary(at.outside)).toEqual(before);
    if (hostile.refused === undefined) expect(error).toBeUndefined();
    else expect((error as VarveError).code).toBe(hostile.refused);
    expectWanted(at.root, hostile);
  });
});

describe.skipIf(!canMountOverlays)(
  "no layer in overlay form reaches outside its directory (needs overlay mounts)",
  () => {
    it.each(names)("%s", async (name) => {
      await using at = await scene();
      const hostile = tarNamed(name, at.outside);
      const before = canary(at.outside);
      const merged = await mergeAll(join(at.root, "layers"), hostile);
      expect(canary(at.outside)).toEqual(before);
      if (merged instanceof Error) {
        expect((merged as VarveError).code).toBe(hostile.refused);
        return;
      }
      try {
        expect(hostile.refused).toBeUndefined();
        expectWanted(merged.root, hostile);
      } finally {
        merged.close();
      }
    });
  },
);
