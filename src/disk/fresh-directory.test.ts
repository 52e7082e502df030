/** A directory that appears whole, and leaves nothing when it does not. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { FreshDirectory } from "./fresh-directory.ts";

async function place(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return dir.path;
}

async function fill({ path }: FreshDirectory): Promise<readonly string[]> {
  await writeFile(join(path, "one"), "1");
  await writeFile(join(path, "last"), "2");
  return ["one", "last"];
}

describe("a directory that is made", () => {
  it("is seen when it is published, with its parents", async () => {
    const home = await place();
    const target = join(home, "a/b");
    await using fresh = await FreshDirectory.create(target);
    const names = await fill(fresh);
    expect(await readdir(join(home, "a"))).not.toContain("b");
    await fresh.publish(names);
    expect((await readdir(target)).toSorted()).toEqual(["last", "one"]);
    await fresh[Symbol.asyncDispose]();
    expect(await readdir(join(home, "a"))).toEqual(["b"]);
  });

  it("leaves nothing when it is given up, parents neither", async () => {
    const home = await place();
    const fresh = await FreshDirectory.create(join(home, "a/b/c"));
    await fill(fresh);
    await fresh[Symbol.asyncDispose]();
    expect(await readdir(home)).toEqual([]);
  });

  it("does not take the place of what somebody made meanwhile", async () => {
    const home = await place();
    const target = join(home, "vm");
    await using fresh = await FreshDirectory.create(target);
    const names = await fill(fresh);
    await mkdir(target);
    await writeFile(join(target, "mine"), "");
    await expect(fresh.publish(names)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(await readdir(target)).toEqual(["mine"]);
  });
});

describe("a directory that is there", () => {
  it("may hold what a killed process has left, which goes", async () => {
    const target = await place();
    const killed = await FreshDirectory.create(target);
    const left = killed.path;
    const names = await readdir(target);
    expect(names.some((name) => join(target, name) === left)).toBe(true);
    // Its lock is free, as after its death.
    await rm(`${left}.lock`);
    await using fresh = await FreshDirectory.create(target);
    expect(await readdir(target)).not.toContain(left.split("/").at(-1));
    await fresh.publish(await fill(fresh));
    expect((await readdir(target)).toSorted().filter((name) => !name.startsWith("."))).toEqual(["last", "one"]);
  });

  it("is not shared by two at once: the first has it, and neither removes what the other makes", async () => {
    const target = await place();
    await using one = await FreshDirectory.create(target);
    await using two = await FreshDirectory.create(target);
    await one.publish(await fill(one));
    await expect(two.publish(await fill(two))).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect((await readdir(target)).toSorted().filter((name) => !name.startsWith("."))).toEqual(["last", "one"]);
  });

  it("gets nothing when one of its names is taken by a directory", async () => {
    const target = await place();
    await mkdir(join(target, "last"));
    await using fresh = await FreshDirectory.create(target, { replaces: true });
    await expect(fresh.publish(await fill(fresh))).rejects.toMatchObject({ code: "PATH_INVALID" });
    expect((await readdir(target)).filter((name) => !name.startsWith("."))).toEqual(["last"]);
  });
});
