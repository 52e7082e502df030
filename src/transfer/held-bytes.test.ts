/** Documents that are in the store, and what may become of them while they are looked for. */
import { rm } from "node:fs/promises";
import { expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore } from "../store/store.ts";
import { heldBytes } from "./held-bytes.ts";

it("are there, are not there, or are removed between looking for them and reading them", async () => {
  await using dir = await tempDir();
  await using store = await openStore(dir.path, { sync: false });
  const bytes = Buffer.from("{}");
  const digest = digestOf(bytes);
  expect(await heldBytes(store, digest)).toBeUndefined();
  await store.content.writeBytes(digest, bytes);
  expect(await heldBytes(store, digest)).toEqual(bytes);
  const { content } = store;
  const stat = content.stat.bind(content);
  content.stat = async (wanted) => {
    const info = await stat(wanted);
    if (info !== undefined) await rm(info.path);
    return info;
  };
  expect(await heldBytes(store, digest)).toBeUndefined();
});
