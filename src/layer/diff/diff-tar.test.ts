/** What containerd's own differ is held to (`TestDiffTar`, `TestSourceDateEpoch`), in our order: by names, whiteouts first, links last. */
import { lutimesSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMembers } from "../../../test/kit/layer/read-members.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import * as edit from "../../../test/kit/trees/edit-tree.ts";
import { digestOf } from "../../oci/digest.ts";
import { changesOfTrees } from "./changes.ts";
import { writeLayerTar, type LayerTarOptions } from "./layer-tar.ts";

const { createDir, createFile, createSocket, chmod, edits, link, remove, removeAll } = edit;

async function diffTar(before: edit.Edit, after: edit.Edit, options: LayerTarOptions = {}): Promise<Buffer> {
  await using dir = await tempDir();
  const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
  mkdirSync(a);
  await before(a);
  await edit.copyTree(a, b);
  await after(b);
  return Buffer.concat(await Array.fromAsync(writeLayerTar(changesOfTrees(a, b), options)));
}

/** One line for each member, as `tar` would list it. */
async function listed(before: edit.Edit, after: edit.Edit): Promise<string[]> {
  return readMembers(await diffTar(before, after)).map(({ entry, content }) => {
    if (entry.type === "link") return `${entry.name} -> ${entry.linkName}`;
    const text = entry.type === "file" && !entry.name.includes(".wh.") ? ` ${JSON.stringify(content.toString())}` : "";
    return `${entry.mode.toString(8)} ${entry.name}${text}`;
  });
}

const file = (path: string): edit.Edit => createFile(path, "link me", 0o644);

describe("DiffTar", () => {
  it("EmptyDiff", async () => {
    expect(await listed(createDir("etc", 0o755), edits())).toEqual([]);
  });

  it("ParentInclusion", async () => {
    const before = edits(createDir("d1", 0o755), createDir("d2", 0o770));
    const after = edits(createDir("d1/d", 0o700), createFile("d2/f", "ok", 0o644));
    expect(await listed(before, after)).toEqual(["755 d1/", "700 d1/d/", "770 d2/", '644 d2/f "ok"']);
  });

  it("HardlinkParentInclusion: a link to a file that did not change takes the file along", async () => {
    const before = edits(
      createDir("d1", 0o755),
      file("d1/f1"),
      createDir("d2", 0o755),
      file("d2/f1"),
      createDir("d3", 0o755),
      createDir("d4", 0o755),
      file("d4/f1"),
      createDir("d5", 0o755),
      file("d5/f1"),
      createDir("d6", 0o755),
      link("d1/f1", "d6/l1"),
      link("d5/f1", "d6/l2"),
    );
    const after = edits(link("d1/f1", "d2/l1"), link("d4/f1", "d3/l1"), remove("d6/l1"), remove("d6/l2"));
    expect(await listed(before, after)).toEqual([
      "755 d1/",
      '644 d1/f1 "link me"',
      "755 d2/",
      "d2/l1 -> d1/f1",
      "755 d3/",
      '644 d3/l1 "link me"',
      "755 d4/",
      "d4/f1 -> d3/l1",
      "755 d6/",
      "0 d6/.wh.l1",
      "0 d6/.wh.l2",
    ]);
  });

  it("UpdateDirectoryPermission", async () => {
    const before = edits(createDir("d1", 0o755), createDir("d2", 0o770));
    const after = edits(chmod("d1", 0o777), createDir("d1/d", 0o700), createFile("d2/f", "ok", 0o644));
    expect(await listed(before, after)).toEqual(["777 d1/", "700 d1/d/", "770 d2/", '644 d2/f "ok"']);
  });

  it("HardlinkUpdatedParent", async () => {
    const before = edits(
      createDir("d1", 0o755),
      file("d1/f1"),
      createDir("d2", 0o755),
      file("d2/f1"),
      createDir("d3", 0o755),
      file("d3/f1"),
      createDir("d4", 0o755),
    );
    const after = edits(chmod("d1", 0o777), link("d1/f1", "d2/l1"), chmod("d4", 0o777), link("d3/f1", "d4/l1"));
    expect(await listed(before, after)).toEqual([
      "777 d1/",
      '644 d1/f1 "link me"',
      "755 d2/",
      "d2/l1 -> d1/f1",
      "755 d3/",
      '644 d3/f1 "link me"',
      "777 d4/",
      "d4/l1 -> d3/f1",
    ]);
  });

  it("WhiteoutIncludesParents", async () => {
    const content = (path: string): edit.Edit => createFile(path, "content", 0o644);
    const before = edits(
      createDir("d1", 0o755),
      content("d1/f1"),
      createDir("d2", 0o755),
      content("d2/f1"),
      content("d2/f2"),
      createDir("d3", 0o755),
      content("d3/f1"),
      createDir("d4", 0o755),
      content("d4/f1"),
      createDir("d5", 0o755),
      content("d5/f1"),
    );
    const after = edits(
      remove("d1/f1"),
      remove("d2/f1"),
      chmod("d2/f2", 0o777),
      remove("d3/f1"),
      content("d3/f2"),
      remove("d4/f1"),
      content("d4/f0"),
      removeAll("d5"),
    );
    expect(await listed(before, after)).toEqual([
      "0 .wh.d5",
      "755 d1/",
      "0 d1/.wh.f1",
      "755 d2/",
      "0 d2/.wh.f1",
      '777 d2/f2 "content"',
      "755 d3/",
      "0 d3/.wh.f1",
      '644 d3/f2 "content"',
      "755 d4/",
      "0 d4/.wh.f1",
      '644 d4/f0 "content"',
    ]);
  });

  it("WhiteoutParentRemoval: what was in a directory goes with it", async () => {
    const before = edits(createDir("d1", 0o755), createDir("d2", 0o755), createFile("d2/f1", "content", 0o644));
    const after = edits(removeAll("d1"), removeAll("d2"), createDir("d3", 0o755));
    expect(await listed(before, after)).toEqual(["0 .wh.d1", "0 .wh.d2", "755 d3/"]);
  });

  it("IgnoreSockets", async () => {
    const content = (path: string): edit.Edit => createFile(path, "content", 0o644);
    const after = edits(content("f2"), createSocket("s0"), content("f3"));
    expect(await listed(content("f1"), after)).toEqual(['644 f2 "content"', '644 f3 "content"']);
  });

  it("a socket in the place of a file: the file is gone, as far as a layer can tell", async () => {
    const before = edits(createDir("d", 0o755), createFile("d/s", "", 0o644));
    const after = edits(remove("d/s"), createSocket("d/s"));
    expect(await listed(before, after)).toEqual(["755 d/", "0 d/.wh.s"]);
  });
});

describe("SourceDateEpoch", () => {
  const epoch = Date.UTC(2022, 0, 23, 12, 34, 56) / 1000;
  const past = Date.UTC(2022, 0, 1) / 1000;
  const before = createFile("f1", "content", 0o644);
  const after = edits(
    remove("f1"),
    createFile("f2", "content2", 0o644),
    (root) => lutimesSync(join(root, "f2"), past, past),
    createFile("f3", "content3", 0o644),
  );

  it("bounds times that are later, and no others", async () => {
    const members = readMembers(await diffTar(before, after, { sourceDateEpoch: epoch }));
    expect(members.map(({ entry }) => [entry.name, entry.modifiedAt])).toEqual([
      [".wh.f1", { seconds: 0, nanoseconds: 0 }],
      ["f2", { seconds: past, nanoseconds: 0 }],
      ["f3", { seconds: epoch, nanoseconds: 0 }],
    ]);
  });

  it("gives the same bytes thirty times", async () => {
    const digests = new Set<string>();
    for (let index = 0; index < 30; index++) {
      digests.add(digestOf(await diffTar(before, after, { sourceDateEpoch: epoch })));
    }
    expect(digests.size).toBe(1);
  });
});
