import { describe, expect, it } from "vitest";
import { toVarveError } from "./from-system.ts";
import { VarveError } from "./varve-error.ts";

describe("toVarveError", () => {
  it("keeps a coded error as it is", () => {
    const error = new VarveError("USAGE", "no");
    expect(toVarveError(error, "doing")).toBe(error);
  });

  it.each([
    ["ENOSPC", "NO_SPACE"],
    ["EDQUOT", "NO_SPACE"],
    ["EROFS", "STORE_READ_ONLY"],
    ["EACCES", "PERMISSION"],
    ["ENOENT", "FILE_NOT_FOUND"],
    ["EXDEV", "IO"],
  ])("%s of a system call is %s", (errno, code) => {
    const system = Object.assign(new Error(`${errno}: it failed`), { code: errno, syscall: "write" });
    expect(toVarveError(system, "writing f")).toMatchObject({ code, message: `writing f: ${errno}: it failed` });
  });

  it("takes a code without a system call for no system error", () => {
    const odd = Object.assign(new Error("it failed"), { code: "ENOSPC" });
    expect(toVarveError(odd)).toMatchObject({ code: "INTERNAL", message: "it failed" });
  });

  it("makes of an abort an interruption, of anything else a bug to be reported", () => {
    expect(toVarveError(AbortSignal.abort().reason).code).toBe("INTERRUPTED");
    expect(toVarveError("a string", "x")).toMatchObject({ code: "INTERNAL", message: "x: a string" });
  });

  it("tells what went wrong first, not that closing failed as well", () => {
    const first = new VarveError("NO_SPACE", "full");
    const closing = new SuppressedError(new Error("cannot close"), first);
    expect(toVarveError(closing)).toBe(first);
    expect(toVarveError(new SuppressedError(new Error("again"), closing))).toBe(first);
  });
});
