/** What is offered for arguments that depend on what the store holds. */
import { describe, expect, it } from "vitest";
import { complete, type Held } from "./candidates.ts";

const held: Held = {
  images: () => Promise.resolve(["app:1", "base:1"]),
  snapshots: () =>
    Promise.resolve([
      { key: "work", kind: "active" },
      { key: "look", kind: "view" },
      { key: "sha256:abc", kind: "committed" },
    ]),
};

const offered = async (line: string): Promise<readonly string[]> => (await complete(line.split(" "), held)).words;

describe("completion", () => {
  it.each([
    ["snapshots mounts ", ["look", "work"]],
    ["snapshots mounts work ", []],
    ["snapshots usage ", ["look", "sha256:abc", "work"]],
    ["snapshots rm work l", ["look"]],
    ["snapshots prepare ", []],
    ["snapshots prepare new ", ["app:1", "base:1", "look", "sha256:abc", "work"]],
    ["snapshots commit done ", ["work"]],
    ["snapshots ls ", []],
    ["commit ", ["work"]],
    ["commit work a", ["app:1"]],
    ["diff w", ["work"]],
    ["diff a", ["app:1"]],
    ["mount ", ["app:1", "base:1", "look", "work"]],
    ["push a", ["app:1"]],
    ["push oci", ["oci-archive:", "oci:"]],
    ["push app:1 ", ["app:1", "base:1"]],
    ["push --dig", ["--digestfile"]],
    ["copy app:1 docker", ["docker-archive:", "docker://"]],
  ])("of %j offers %j", async (line, words) => expect(await offered(line)).toEqual(words));

  it("offers files for the digest", async () => {
    expect(await complete(["push", "--digestfile", ""], held)).toEqual({ words: [], files: "file" });
  });
});
