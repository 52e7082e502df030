import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { reference } from "../tools/reference.ts";

it("the reference pages say what the program's tables say (else run: node tools/reference.ts)", async () => {
  for (const [name, text] of await reference()) {
    expect(await readFile(new URL(`../docs/${name}`, import.meta.url), "utf8")).toBe(text);
  }
});
