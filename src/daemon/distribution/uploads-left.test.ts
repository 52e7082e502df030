import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { Uploads } from "./uploads.ts";

it("what an earlier process left is gone on with where it is whole, and removed where it is not", async () => {
  await using dir = await tempDir();
  const directory = join(dir.path, "uploads");
  await mkdir(directory);
  const put = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);
  const facts = JSON.stringify({ name: "a", algorithm: "sha256" });
  await put("whole.data", "12345");
  await put("whole.json", facts);
  await put("begun.data", "");
  await put("torn.data", "12");
  await put("torn.json", "{");
  await put("ended.json", facts);
  const uploads = new Uploads({ directory });
  expect((await uploads.find("a", "whole"))?.size).toBe(5);
  expect((await readdir(directory)).toSorted()).toEqual(["whole.data", "whole.json"]);
});
