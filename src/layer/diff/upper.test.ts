/** What overlays write into upper directories, mark by mark, also where nobody can mount. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMembers } from "../../../test/kit/layer/read-members.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../../test/kit/mounts/mount-dir.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { createSocket } from "../../../test/kit/trees/edit-tree.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { mountAll } from "../../snapshot/mount-all.ts";
import { AT_FDCWD, atCalls } from "../../sys/at.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import { changesOfUpper, type UpperOptions } from "./changes.ts";
import { writeLayerTar } from "./layer-tar.ts";

const isRoot = process.getuid?.() === 0;

interface Place extends AsyncDisposable {
  readonly upper: string;
  readonly lower: string;
  make(tree: "upper" | "lower", path: string, content?: string): string;
}

async function place(): Promise<Place> {
  const dir = await tempDir();
  const [upper, lower] = [join(dir.path, "upper"), join(dir.path, "lower")];
  for (const path of [upper, lower]) mkdirSync(path);
  const make = (tree: "upper" | "lower", path: string, content?: string): string => {
    const full = join(tree === "upper" ? upper : lower, path);
    if (content === undefined) mkdirSync(full, { recursive: true });
    else writeFileSync(full, content);
    return full;
  };
  return { upper, lower, make, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

function whiteout(path: string): void {
  expect(atCalls().mknod(AT_FDCWD, path, 0o020000, 0, 0)).toBe(0);
}

function mark(path: string, name: string, value = "y"): void {
  expect(xattrCalls().set(path, name, Buffer.from(value))).toBe(0);
}

async function told(upper: string, options: Partial<UpperOptions> = {}): Promise<string[]> {
  const changes = await Array.fromAsync(changesOfUpper(upper, { userXattr: true, ...options }));
  return changes.map(
    (change) => `${change.kind} ${change.path}${change.kind !== "delete" && change.opaque ? " opaque" : ""}`,
  );
}

async function members(upper: string, options: Partial<UpperOptions> = {}): Promise<string[]> {
  const tar = await Array.fromAsync(writeLayerTar(changesOfUpper(upper, { userXattr: true, ...options })));
  return readMembers(Buffer.concat(tar)).map(({ entry }) => entry.name);
}

describe("over something that cannot be read", () => {
  it.skipIf(!isRoot)("whiteouts are taken at their word (needs root)", async () => {
    await using p = await place();
    p.make("upper", "d");
    whiteout(join(p.upper, "d", "gone"));
    p.make("upper", "d/here", "x");
    expect(await told(p.upper)).toEqual(["add d", "delete d/gone", "add d/here"]);
  });

  it("opaque directories are told as such, and nothing below them has anything to hide", async () => {
    await using p = await place();
    mark(p.make("upper", "d"), "user.overlay.opaque");
    mark(p.make("upper", "d/e"), "user.overlay.opaque");
    p.make("upper", "d/f", "x");
    expect(await told(p.upper)).toEqual(["add d opaque", "add d/e", "add d/f"]);
    expect(await members(p.upper)).toEqual(["d/", "d/.wh..wh..opq", "d/e/", "d/f"]);
  });
});

describe("over a view of what lies below", () => {
  it("opaque directories become a whiteout for each thing that is gone, at any depth", async () => {
    await using p = await place();
    for (const path of ["d/e/f", "d/keep"]) p.make("lower", path);
    p.make("lower", "d/e/file", "x");
    p.make("lower", "d/gone", "x");
    mark(p.make("upper", "d"), "user.overlay.opaque");
    p.make("upper", "d/e");
    p.make("upper", "d/new", "x");
    const options = { lower: { path: p.lower } };
    expect((await told(p.upper, options)).filter((line) => line.startsWith("delete"))).toEqual([
      "delete d/gone",
      "delete d/keep",
      "delete d/e/f",
      "delete d/e/file",
    ]);
    expect(await members(p.upper, options)).toEqual([
      "d/",
      "d/.wh.gone",
      "d/.wh.keep",
      "d/e/",
      "d/e/.wh.f",
      "d/e/.wh.file",
      "d/new",
    ]);
  });

  it.skipIf(!isRoot)("whiteouts of what is not there are nothing (needs root)", async () => {
    await using p = await place();
    whiteout(join(p.upper, "never"));
    expect(await told(p.upper, { lower: { path: p.lower } })).toEqual([]);
  });

  it("empty files are whiteouts when they and their directory are marked so", async () => {
    await using p = await place();
    for (const name of ["d/a", "d/b", "e/a"]) {
      p.make("lower", name.slice(0, 1));
      p.make("lower", name, "x");
      p.make("upper", name.slice(0, 1));
      mark(p.make("upper", name, ""), "user.overlay.whiteout");
    }
    mark(join(p.upper, "d"), "user.overlay.opaque", "x");
    p.make("upper", "d/full", "x");
    const lines = await told(p.upper, { lower: { path: p.lower } });
    expect(lines.filter((line) => !/ [de]$/.test(line))).toEqual([
      "delete d/a",
      "delete d/b",
      "add d/full",
      "modify e/a",
    ]);
  });

  it("marks of the other kind of overlay are none", async () => {
    await using p = await place();
    p.make("lower", "d/gone");
    mark(p.make("upper", "d"), "user.overlay.opaque");
    const lines = await told(p.upper, { lower: { path: p.lower }, userXattr: false });
    expect(lines.filter((line) => line.startsWith("delete"))).toEqual([]);
  });

  it("a socket hides what it stands over, and is nothing itself", async () => {
    await using p = await place();
    p.make("lower", "s", "x");
    await createSocket("s")(p.upper);
    await createSocket("t")(p.upper);
    expect(await told(p.upper, { lower: { path: p.lower } })).toEqual(["delete s"]);
  });

  it("what was below is not looked for through links", async () => {
    await using p = await place();
    p.make("lower", "real/x", undefined);
    symlinkSync("real", join(p.lower, "link"));
    mark(p.make("upper", "link"), "user.overlay.opaque");
    expect(await told(p.upper, { lower: { path: p.lower } })).toEqual(["modify link"]);
  });
});

describe("what refers to content elsewhere is refused", () => {
  it.each([
    ["redirect", "redirect_dir"],
    ["metacopy", "metacopy"],
  ])("%s", async (name, option) => {
    await using p = await place();
    mark(p.make("upper", "d"), `user.overlay.${name}`, "/elsewhere");
    const error = await told(p.upper).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "SNAPSHOT_STATE", detail: { path: "d" } });
    expect(isVarveError(error) && error.hint).toContain(`${option}=off`);
  });

  it.skipIf(!isRoot || !canMount())("as overlays write it (needs root and mounts)", async () => {
    await using dir = await mountDir();
    const [lower, upper, work, target] = ["l", "u", "w", "t"].map((name) => join(dir.path, name)) as Paths;
    for (const path of [lower, upper, work, target]) mkdirSync(path);
    writeFileSync(join(lower, "f"), "content");
    const layers = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
    const options = [...layers, "index=off", "redirect_dir=on", "metacopy=on"];
    await mountAll([{ type: "overlay", source: "overlay", options }], target);
    chmodSync(join(target, "f"), 0o600);
    await expect(told(upper, { userXattr: false, lower: { path: lower } })).rejects.toMatchObject({
      code: "SNAPSHOT_STATE",
    });
  });
});

type Paths = [string, string, string, string];
