/** Whatever is held, and however often and by whomever it is asked for: a place holds what was wanted of it, and what is there is found. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collidingNames } from "../../../test/kit/sources/colliding-names.ts";
import {
  pieceTable,
  readPlace,
  sampleLayer,
  type SampleFile,
  type SamplePiece,
} from "../../../test/kit/sources/held-folders.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { chunksOf } from "../../codec/zstd-chunked/chunker.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { digestOf } from "../../oci/digest.ts";
import { openStore, type Store } from "../store.ts";
import type { HeldLayer } from "./held-layer.ts";
import { HeldSources } from "./local-sources.ts";

interface Scene extends AsyncDisposable {
  readonly path: string;
  readonly store: Store;
  readonly layers: HeldLayer[];
  readonly sources: HeldSources;
}

async function scene(options: { readonly readOnly?: boolean } = {}): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const { path } = cleanup.use(await tempDir());
  const store = cleanup.use(await openStore(join(path, "store"), { sync: false }));
  const layers: HeldLayer[] = [];
  const sources = cleanup.use(new HeldSources({ store, listHeld: () => Promise.resolve(layers), ...options }));
  const held = cleanup.move();
  return { path, store, layers, sources, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Few contents of few sizes, so that sizes collide all the time. */
const content = fc
  .tuple(fc.nat(3), fc.constantFrom(1, 2, 2, 5, 700))
  .map(([fill, size]) => new Uint8Array(size).fill(fill));
const path = fc.constantFrom("a", "usr/a", "usr/b", "usr/lib/a", "usr/lib/ü", "opt/b");
const file = fc.record({ path, bytes: content });
const layer = fc.record({
  form: fc.constantFrom("devices" as const, "tree" as const),
  files: fc.uniqueArray(file, { selector: ({ path }) => path, maxLength: 6 }),
});
const piece = fc.record({ name: path.map((name) => `./${name}`), bytes: content });

const textFile = (path: string, text: string): SampleFile => ({ path, bytes: Buffer.from(text) });
const noise = (size: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
};

describe("places of wanted pieces", () => {
  it("hold what is wanted, and are found wherever a file has it under the name; the second time without hashing anything", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { maxLength: 3 }), fc.array(piece, { maxLength: 8 }), async (held, pieces) => {
        await using on = await scene();
        for (const [at, { form, files }] of held.entries()) {
          on.layers.push(await sampleLayer(join(on.path, `layer-${at}`), form, files));
        }
        const look = async (hashBytes: number): Promise<boolean[]> => {
          await using places = await on.sources.locate(pieceTable(pieces), { hashBytes });
          let count = 0;
          let bytes = 0;
          const found = pieces.map((piece, at) => {
            const place = places.get(at);
            if (place === undefined) return false;
            expect(readPlace(place, piece.bytes.length)).toEqual(piece.bytes);
            count++;
            bytes += piece.bytes.length;
            return true;
          });
          expect(places.found).toEqual({ pieces: count, bytes });
          return found;
        };
        const found = await look(1 << 30);
        for (const [at, { name, bytes }] of pieces.entries()) {
          const isThere = held.some(({ files }) =>
            files.some((file) => `./${file.path}` === name && Buffer.compare(file.bytes, bytes) === 0),
          );
          if (isThere) expect(found[at]).toBe(true);
        }
        expect(await look(0)).toEqual(found);
        expect(on.layers.every((layer) => (layer as unknown as { walks: number }).walks <= 1)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("are found under the last name, then wherever the size is right", async () => {
    await using on = await scene();
    on.layers.push(
      await sampleLayer(join(on.path, "one"), "tree", [textFile("v1/lib.so", "library"), textFile("x", "elsewhere!")]),
    );
    const wanted: SamplePiece[] = [
      { name: "v2/lib.so", bytes: Buffer.from("library") },
      { name: "y", bytes: Buffer.from("elsewhere!") },
      { name: "v2/lib.so", bytes: Buffer.from("LIBRARY") },
    ];
    await using places = await on.sources.locate(pieceTable(wanted));
    expect(places.get(0)?.path).toBe(join(on.path, "one/fs/v1/lib.so"));
    expect(places.get(1)?.path).toBe(join(on.path, "one/fs/x"));
    expect(places.get(2)).toBeUndefined();
  });

  it("are not looked for beyond what may be read", async () => {
    await using on = await scene();
    const files = Array.from({ length: 50 }, (_, at) => ({ path: `f${at}`, bytes: noise(100, at) }));
    on.layers.push(await sampleLayer(join(on.path, "one"), "devices", files));
    await using places = await on.sources.locate(pieceTable(files.map(({ path, bytes }) => ({ name: path, bytes }))), {
      hashBytes: 20 * 16 * 1024,
    });
    expect(places.found.pieces).toBe(20);
  });

  it("are not looked for everywhere where a size is everybody's", async () => {
    await using on = await scene();
    const files = Array.from({ length: 300 }, (_, at) => ({ path: `f${at}`, bytes: noise(64, at) }));
    on.layers.push(await sampleLayer(join(on.path, "one"), "devices", files));
    await using places = await on.sources.locate(pieceTable([{ name: "g", bytes: noise(64, 1000) }]));
    expect(places.found.pieces).toBe(0);
    // The next ones look at the next ones.
    const known = readdirSync(join(on.path, "one")).includes("sources.known");
    expect(known).toBe(true);
  });

  it("are blobs that are held, and layers' tars as they are", async () => {
    await using on = await scene();
    const blob = Buffer.from("a blob that is held");
    const { path } = await on.store.content.writeBytes(digestOf(blob), blob);
    const tar = noise(2000, 1);
    const held = await sampleLayer(join(on.path, "one"), "devices", [{ path: "f", bytes: tar.subarray(0, 1024) }]);
    writeFileSync(held.roots[0]!, tar);
    on.layers.push({ ...held, whole: { digest: digestOf(tar), size: tar.length, root: 0 } });
    await using places = await on.sources.locate(pieceTable([blob, tar].map((bytes) => ({ name: "x", bytes }))));
    expect(places.get(0)).toEqual({ path, start: 0 });
    expect(places.get(1)).toEqual({ path: held.roots[0], start: 0 });
  });

  it("are told for no piece that nobody can look for", async () => {
    await using on = await scene();
    on.layers.push(await sampleLayer(join(on.path, "one"), "devices", [textFile("a", "text")]));
    const table = pieceTable([
      { name: "a", bytes: new Uint8Array() },
      { name: "a", bytes: Buffer.from("text"), digest: digestOf("text", "sha512") },
    ]);
    await using places = await on.sources.locate({
      ...table,
      length: 3,
      digest: (at) => (at === 2 ? undefined : table.digest(at)),
    });
    expect([0, 1, 2, 3].map((at) => places.get(at))).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe("chunks of a file that changed", () => {
  it.each(["devices", "tree"] as const)("are found in the version that is held (%s)", async (form) => {
    await using on = await scene();
    const before = Buffer.concat([noise(1 << 20, 7), Buffer.alloc(5000), noise(1 << 19, 8)]);
    const after = Buffer.concat([before.subarray(0, 300_000), Buffer.from("a change"), before.subarray(300_100)]);
    on.layers.push(
      await sampleLayer(join(on.path, "one"), form, [
        { path: "small", bytes: noise(9, 1) },
        { path: "big", bytes: before },
      ]),
    );
    const chunks = chunksOf(after).filter(({ zeros }) => !zeros);
    const pieces = [
      { name: "big", bytes: after },
      ...chunks.map(({ start, length }) => ({ name: "big", bytes: after.subarray(start, start + length) })),
    ];
    await using places = await on.sources.locate(pieceTable(pieces));
    expect(places.found.pieces).toBeGreaterThanOrEqual(chunks.length - 2);
    for (const [at, { bytes }] of pieces.entries()) {
      const place = places.get(at);
      if (place !== undefined) expect(Buffer.compare(readPlace(place, bytes.length), bytes)).toBe(0);
    }
    await using again = await on.sources.locate(pieceTable(pieces), { hashBytes: 0 });
    expect(again.found).toEqual(places.found);
  });

  it("are found where they are of one size", async () => {
    await using on = await scene();
    const before = noise(1_000_000, 3);
    const after = Buffer.from(before);
    after[200_000] = 255 - after[200_000]!;
    on.layers.push(await sampleLayer(join(on.path, "one"), "devices", [{ path: "big", bytes: before }]));
    const pieces = Array.from({ length: 8 }, (_, at) => ({
      name: "big",
      bytes: after.subarray(at * 131_072, (at + 1) * 131_072),
    }));
    await using places = await on.sources.locate(pieceTable(pieces));
    expect(pieces.map((_, at) => places.get(at)?.start)).toEqual(
      pieces.map((_, at) => (at === 1 ? undefined : at * 131_072)),
    );
  });
});

describe("what a table of contents said", () => {
  it("is known without hashing anything, of files and of chunks", async () => {
    for (const form of ["devices", "tree"] as const) {
      await using on = await scene();
      const big = noise(300_000, 5);
      const held = await sampleLayer(join(on.path, "one"), form, [
        textFile("etc/motd", "hello"),
        { path: "big", bytes: big },
      ]);
      on.layers.push(held);
      const chunks = [[0, 100_000] as const, [100_000, 250_000] as const];
      const pieces = [
        { name: "etc/motd", bytes: Buffer.from("hello") },
        { name: "./big", bytes: big },
        ...chunks.map(([start, end]) => ({ name: "./big", start, bytes: big.subarray(start, end) })),
      ];
      await on.sources.record(held.diffId!, pieceTable(pieces));
      await using places = await on.sources.locate(pieceTable(pieces.map((piece) => ({ ...piece, name: "other" }))), {
        hashBytes: 0,
      });
      expect(places.found.pieces).toBe(4);
      for (const [at, { bytes }] of pieces.entries()) {
        expect(Buffer.compare(readPlace(places.get(at)!, bytes.length), bytes)).toBe(0);
      }
    }
  });

  it("is of one file, however many have names with the same hash", async () => {
    await using on = await scene();
    const names = collidingNames(6);
    const bytes = noise(2000, 3);
    const files = names.map((path) => ({ path, bytes }));
    const held = await sampleLayer(join(on.path, "one"), "devices", files);
    on.layers.push(held);
    const name = names[0]!;
    const chunks = Array.from({ length: 1000 }, (_, at) => ({
      name,
      start: at * 2,
      bytes: bytes.subarray(at * 2, at * 2 + 2),
    }));
    await on.sources.record(held.diffId!, pieceTable([{ name, bytes }, ...chunks]));
    expect(statSync(join(on.path, "one/sources.known")).size).toBeLessThan(1100 * 48);
  });

  it("is forgotten where it was wrong, and found out anew", async () => {
    for (const form of ["devices", "tree"] as const) {
      await using on = await scene();
      const held = await sampleLayer(join(on.path, "one"), form, [textFile("a/b", "right")]);
      on.layers.push(held);
      const wrong = pieceTable([{ name: "a/b", bytes: Buffer.from("wrong") }]);
      await on.sources.record(held.diffId!, wrong);
      const place = await on.sources.locate(wrong).then(async (places) => {
        await places[Symbol.asyncDispose]();
        return places.get(0);
      });
      expect(place).toBeDefined();
      await on.sources.forget(place!);
      await using after = await on.sources.locate(wrong);
      expect(after.get(0)).toBeUndefined();
      await using right = await on.sources.locate(pieceTable([{ name: "a/b", bytes: Buffer.from("right") }]), {
        hashBytes: 0,
      });
      expect(right.found.pieces).toBe(1);
    }
  });
});

describe("the index of a layer", () => {
  const files = [textFile("a", "one"), textFile("dir/b", "other"), textFile("dir/c", "third one")];
  const pieces = files.map(({ path, bytes }) => ({ name: path, bytes }));

  it("is made again whatever byte of it is damaged, and so is what is known", async () => {
    for (const form of ["devices", "tree"] as const) {
      await using on = await scene();
      on.layers.push(await sampleLayer(join(on.path, "one"), form, files));
      await (await on.sources.locate(pieceTable(pieces)))[Symbol.asyncDispose]();
      for (const name of ["sources.files", "sources.known"]) {
        const index = join(on.path, "one", name);
        const whole = readFileSync(index);
        for (let at = 0; at <= whole.length; at += 5) {
          const broken = at < whole.length ? Buffer.from(whole) : whole.subarray(0, whole.length >> 1);
          if (at < whole.length) broken[at] = broken[at]! ^ 0x5a;
          writeFileSync(index, broken);
          await using places = await on.sources.locate(pieceTable(pieces));
          for (const at of pieces.keys()) {
            const place = places.get(at);
            // Of a tree, names are read only when they are told: what is damaged in them is fetched.
            if (form === "devices") expect(place).toBeDefined();
            if (place !== undefined) expect(place.path.startsWith(join(on.path, "one"))).toBe(true);
          }
        }
      }
    }
  });

  it("lies in a temporary directory where nothing may be written, and is gone with its user", async () => {
    await using on = await scene({ readOnly: true });
    on.layers.push(await sampleLayer(join(on.path, "one"), "tree", files));
    await chmod(join(on.path, "one"), 0o555);
    const places = await on.sources.locate(pieceTable(pieces));
    expect(places.found.pieces).toBe(3);
    expect(places.get(1)?.path).toBe(join(on.path, "one/fs/dir/b"));
    await places[Symbol.asyncDispose]();
    expect(readdirSync(join(on.path, "one"))).toEqual(["fs"]);
    await chmod(join(on.path, "one"), 0o755);
  });

  it("is built over what a process left that died while it built", async () => {
    await using on = await scene();
    on.layers.push(await sampleLayer(join(on.path, "one"), "devices", files));
    for (const name of ["sources.files.new", "sources.known.new", "sources.lock"]) {
      writeFileSync(join(on.path, "one", name), "left");
    }
    await using places = await on.sources.locate(pieceTable(pieces));
    expect(places.found.pieces).toBe(3);
    expect(readdirSync(join(on.path, "one")).sort()).toEqual(["layer.tar", "sources.files", "sources.known"]);
  });

  it("is none of a layer that goes, or turns out damaged, while it is built", async () => {
    await using on = await scene();
    const going = await sampleLayer(join(on.path, "going"), "devices", files);
    const damaged = await sampleLayer(join(on.path, "damaged"), "devices", files);
    on.layers.push(
      {
        ...going,
        *files() {
          yield* going.files();
          rmSync(going.folder, { recursive: true });
        },
      },
      {
        ...damaged,
        *files() {
          yield* damaged.files();
          throw new VarveError("INDEX_INVALID", "it is damaged");
        },
      },
    );
    await using places = await on.sources.locate(pieceTable(pieces));
    expect(places.found.pieces).toBe(0);
    expect(existsSync(going.folder)).toBe(false);
    expect(readdirSync(damaged.folder)).toEqual(["layer.tar"]);
  });

  it("is built once by several who want it at the same time", async () => {
    await using on = await scene();
    const layer = await sampleLayer(join(on.path, "one"), "devices", files);
    const all = await Promise.all(
      Array.from({ length: 5 }, async () => {
        await using sources = new HeldSources({ store: on.store, listHeld: () => Promise.resolve([layer]) });
        await using places = await sources.locate(pieceTable(pieces));
        return places.found.pieces;
      }),
    );
    expect(all).toEqual([3, 3, 3, 3, 3]);
    expect(layer.walks).toBe(1);
    expect(readdirSync(join(on.path, "one")).sort()).toEqual(["layer.tar", "sources.files", "sources.known"]);
  });
});

describe("a layer", () => {
  const files = [textFile("dir/b", "content")];
  const pieces = pieceTable([{ name: "dir/b", bytes: Buffer.from("content") }]);

  it("that is named is kept until the places are let go", async () => {
    await using on = await scene();
    const held = await sampleLayer(join(on.path, "one"), "devices", files);
    on.layers.push(held);
    const places = await on.sources.locate(pieces);
    expect(await on.store.leases.isLeased(held.kept[0]!)).toBe(true);
    await places[Symbol.asyncDispose]();
    expect(await on.store.leases.isLeased(held.kept[0]!)).toBe(false);
  });

  it("that goes while it is looked at has no places", async () => {
    await using on = await scene();
    const held = await sampleLayer(join(on.path, "one"), "devices", files);
    on.layers.push({ ...held, isThere: () => Promise.resolve(false) });
    await using places = await on.sources.locate(pieces);
    expect(places.get(0)).toBeUndefined();
    expect(places.found).toEqual({ pieces: 0, bytes: 0 });
    rmSync(join(on.path, "one"), { recursive: true });
    await using after = await on.sources.locate(pieces);
    expect(after.found.pieces).toBe(0);
    expect(existsSync(join(on.path, "one"))).toBe(false);
  });

  it("is not left by a link that took a directory's place", async () => {
    await using on = await scene();
    const held = await sampleLayer(join(on.path, "one"), "tree", files);
    on.layers.push(held);
    // Built before, nothing hashed.
    await (await on.sources.locate(pieces, { hashBytes: 0 }))[Symbol.asyncDispose]();
    await sampleLayer(join(on.path, "outside"), "tree", files);
    renameSync(join(on.path, "one/fs/dir"), join(on.path, "one/fs/aside"));
    symlinkSync(join(on.path, "outside/fs/dir"), join(on.path, "one/fs/dir"));
    await using places = await on.sources.locate(pieces);
    expect(places.found.pieces).toBe(0);
  });

  it("stops being looked at when it is told to", async () => {
    await using on = await scene();
    on.layers.push(await sampleLayer(join(on.path, "one"), "tree", files));
    await expect(on.sources.locate(pieces, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow(
      "enough",
    );
  });
});
