import { writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { parseTokens, readTokens } from "./tokens.ts";

const ONE = "0123456789abcdef0123";
const TWO = "fedcba98765432100000";

it("knows a token by its label or its line", () => {
  const tokens = parseTokens(`# of the fleet\n\n${ONE} build machines\r\n  ${TWO}  \n`, "/t");
  expect(tokens.size).toBe(2);
  expect(tokens.find(ONE)).toBe("build machines");
  expect(tokens.find(TWO)).toBe("token of line 4");
  for (const other of ["", ONE.slice(1), `${ONE} `, ONE.toUpperCase(), "#"]) expect(tokens.find(other)).toBeUndefined();
});

it.each([
  ["", "it has no token"],
  ["# none\n\n", "it has no token"],
  ["short", "the token of line 1 has 5 characters"],
  [`${ONE}\nb${"a".repeat(1024)}`, "the token of line 2 has 1025 characters"],
  [`\u00e4${ONE}`, "line 1 has characters that no header takes"],
])("refuses a file that holds no tokens: %j", (text, message) => {
  expect(() => parseTokens(text, "/etc/tokens")).toThrow(`/etc/tokens is no file of tokens: ${message}`);
});

it("never repeats a token", () => {
  expect(() => parseTokens("hunter2", "/t")).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining("hunter2") }),
  );
});

it("refuses files that are not there and files that are too large", async () => {
  await using dir = await tempDir();
  await expect(readTokens(`${dir.path}/none`)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  await writeFile(`${dir.path}/large`, Buffer.alloc(5 * 1024 * 1024, "a"));
  await expect(readTokens(`${dir.path}/large`)).rejects.toThrow("larger than 4 MiB");
});
