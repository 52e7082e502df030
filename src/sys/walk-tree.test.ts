import { mkdirSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../test/kit/mounts/mount-dir.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { mountAll } from "../snapshot/mount-all.ts";
import { atCalls } from "./at.ts";
import { walkTree } from "./walk-tree.ts";

function plant(root: string): void {
  mkdirSync(join(root, "d/e"), { recursive: true });
  writeFileSync(join(root, "d/e/f"), "x");
}

describe("walking through a tree", () => {
  it("comes to a directory before its children and after them", async () => {
    await using dir = await tempDir();
    plant(dir.path);
    const visits = [...walkTree(atCalls(), dir.path)].map(({ event, name }) => `${event} ${name}`);
    const [first, last] = [visits.shift(), visits.pop()];
    expect([first, last]).toEqual([`enter ${dir.path}`, `leave ${dir.path}`]);
    expect(visits).toEqual(["enter d", "enter e", "other f", "leave e", "leave d"]);
  });

  it("passes over what vanishes only when it is told to", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "root");
    const names: string[] = [];
    mkdirSync(root);
    plant(root);
    for (const { event, name } of walkTree(atCalls(), root, { passOver: (code) => code === "ENOENT" })) {
      names.push(name);
      if (event !== "enter" || name !== "d") continue;
      unlinkSync(join(root, "d/e/f"));
      rmdirSync(join(root, "d/e"));
    }
    expect(names).toEqual([root, "d", "d", root]);
    expect(() => [...walkTree(atCalls(), join(root, "missing"))]).toThrow("ENOENT");
    expect(() => [...walkTree(atCalls(), join(dir.path, "root/d"), { admit: fail })]).toThrow("no admittance");
  });

  it.skipIf(!canMount())("goes into nothing that is mounted in it", async () => {
    await using dir = await mountDir();
    for (const name of ["root/point", "elsewhere"]) mkdirSync(join(dir.path, name), { recursive: true });
    await mountAll([{ type: "bind", source: join(dir.path, "elsewhere"), options: [] }], join(dir.path, "root/point"));
    const walk = (passOver: (code: string) => boolean): string[] =>
      [...walkTree(atCalls(), join(dir.path, "root"), { passOver })].map(({ event }) => event);
    expect(() => walk(() => false)).toThrow("EXDEV");
    expect(walk((code) => code === "EXDEV")).toEqual(["enter", "leave"]);
  });
});

function fail(): never {
  throw new Error("no admittance");
}
