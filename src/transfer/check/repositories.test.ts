/** What repositories have counts as needed, and is told of when it is not there; what was cached is let go of then. */
import { chmod, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import { diskUsage } from "../disk-usage.ts";
import { checkStore } from "../fsck.ts";

const HOSTED = { origin: "hosted", name: "team/app" } as const;
const CACHED = { origin: "mirror", name: "a.example/app" } as const;

async function put({ content }: Store, text: string): Promise<Digest> {
  const bytes = Buffer.from(text);
  return (await content.writeBytes(digestOf(bytes), bytes)).digest;
}

async function spoil({ content }: Store, digest: Digest): Promise<void> {
  await chmod(content.pathOf(digest), 0o644);
  await writeFile(content.pathOf(digest), "not these");
}

describe("the content of repositories", () => {
  it("is wanted, and told apart in what the store takes", async () => {
    const context = await transferContext();
    const { store } = context;
    const [both, cached, nobodys] = [await put(store, "12345"), await put(store, "123"), await put(store, "1")];
    for (const key of [HOSTED, CACHED]) await store.repositories.addBlob(key, both);
    await store.repositories.addBlob(CACHED, cached);
    const usage = await diskUsage(context);
    expect(usage).toMatchObject({ repositories: { count: 2, bytes: 8 }, unreferenced: { count: 1, bytes: 1 } });
    const { sound, findings } = await checkStore(context);
    expect(sound).toBe(true);
    expect(findings).toMatchObject([{ kind: "blob-unreferenced", digest: nobodys }]);
  });

  it("is let go of when it was cached and is broken, and asked for again when it was pushed", async () => {
    const context = await transferContext();
    const { store } = context;
    const names = ["cached-missing", "cached-bad", "pushed-missing", "pushed-bad", "both-bad"];
    const digests = new Map<string, Digest>();
    for (const name of names) {
      const digest = await put(store, name);
      digests.set(name, digest);
      if (!name.startsWith("pushed")) await store.repositories.addBlob(CACHED, digest);
      if (!name.startsWith("cached")) await store.repositories.addBlob(HOSTED, digest);
      if (name.endsWith("missing")) await rm(store.content.pathOf(digest));
      else await spoil(store, digest);
    }
    const kindOf = (name: string): string => (name.endsWith("missing") ? "blob-missing" : "blob-damaged");
    const told = await checkStore(context);
    expect(told.sound).toBe(false);
    expect(new Map(told.findings.map(({ digest, kind }) => [digest, kind]))).toEqual(
      new Map(names.map((name) => [digests.get(name), kindOf(name)])),
    );
    expect(await store.repositories.contents()).toHaveLength(6);

    const mended = await checkStore(context, { repair: true });
    expect(mended.sound).toBe(false);
    const unmended = mended.findings.filter(({ repaired }) => repaired !== true);
    expect(new Set(unmended.map(({ digest }) => digest))).toEqual(
      new Set(["pushed-missing", "pushed-bad", "both-bad"].map((name) => digests.get(name))),
    );
    for (const { message } of unmended) expect(message).toContain("push it again to team/app");
    expect((await store.repositories.contents()).map(({ origin }) => origin)).toEqual(["hosted", "hosted", "hosted"]);
    // So that a push is not told that there is nothing to send.
    expect(await store.content.stat(digests.get("pushed-bad")!)).toBeUndefined();

    for (const name of ["pushed-missing", "pushed-bad", "both-bad"]) await put(store, name);
    expect((await checkStore(context, { repair: true })).sound).toBe(true);
  });

  it("is known still when the database had to be made anew", async () => {
    const context = await transferContext();
    const { store } = context;
    const digest = await put(store, "kept");
    await store.repositories.addBlob(HOSTED, digest);
    await store.repositories.putTag(HOSTED, "v1", digest);
    const rows = await store.repositories.salvage();
    await store.examination.setDatabaseAside();
    expect(await store.repositories.needs(digest)).toBe(false);
    const stray = { repository: 99, kind: "blob", digest, size: 1, media_type: null, last_used_at: 0 };
    await store.repositories.restore({
      ...rows,
      repository_contents: [stray, ...(rows["repository_contents"] ?? [])],
    });
    expect(await store.repositories.contents()).toMatchObject([{ ...HOSTED, digest, kind: "blob" }]);
    expect(await store.repositories.tags(HOSTED)).toMatchObject([{ tag: "v1", digest }]);
  });
});
