import { spawn } from "node:child_process";
import { existsSync, unlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { lock, tryLock } from "./flock.ts";
import { ffiAvailable, withoutFfi } from "./libc.ts";

const modes = [
  { mode: "foreign call", enter: () => ({ [Symbol.dispose]: () => {} }) },
  { mode: "flock program", enter: withoutFfi },
];

describe.each(modes)("flock by $mode", ({ mode, enter }) => {
  it("excludes a second holder, in the same process too, until the first lets go", async () => {
    await using dir = await tempDir();
    using _mode = enter();
    expect(ffiAvailable()).toBe(mode === "foreign call");
    const path = join(dir.path, "a.lock");
    const first = tryLock(path);
    expect(first).toMatchObject({ path, shared: false });
    expect(tryLock(path)).toBeUndefined();
    expect(tryLock(path, { shared: true })).toBeUndefined();
    first?.unlock();
    first?.unlock();
    using second = tryLock(path);
    expect(second).toBeDefined();
  });

  it("lets many share, and nobody have it alone meanwhile", async () => {
    await using dir = await tempDir();
    using _mode = enter();
    const path = join(dir.path, "a.lock");
    using one = tryLock(path, { shared: true });
    using two = tryLock(path, { shared: true });
    expect([one?.shared, two?.shared]).toEqual([true, true]);
    expect(tryLock(path)).toBeUndefined();
  });
});

describe("waiting for a lock", () => {
  it("says once that it waits, and gets the lock when it is freed", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.lock");
    const first = tryLock(path);
    let waits = 0;
    const { promise: waiting, resolve } = Promise.withResolvers<void>();
    const second = lock(path, {
      onWait: () => {
        waits++;
        resolve();
      },
    });
    await waiting;
    first?.unlock();
    using taken = await second;
    expect(taken.path).toBe(path);
    expect(waits).toBe(1);
  });

  it("ends with the signal's reason", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.lock");
    using _held = tryLock(path);
    const controller = new AbortController();
    const reason = new Error("enough");
    await expect(lock(path, { signal: controller.signal, onWait: () => controller.abort(reason) })).rejects.toBe(
      reason,
    );
    await expect(lock(path, { signal: controller.signal })).rejects.toBe(reason);
  });
});

describe("the lock file", () => {
  it("may be removed by an exclusive holder; who opened it before does not believe the old file", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.lock");
    const first = tryLock(path);
    const { promise: waiting, resolve } = Promise.withResolvers<void>();
    const second = lock(path, { onWait: resolve });
    await waiting;
    first?.unlock({ remove: true });
    using taken = await second;
    expect(existsSync(path)).toBe(true);
    expect(tryLock(path)).toBeUndefined();
    taken.unlock({ remove: true });
    expect(existsSync(path)).toBe(false);
  });

  it("is not removed by a shared holder, nor when it is another file by now", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.lock");
    tryLock(path, { shared: true })?.unlock({ remove: true });
    expect(existsSync(path)).toBe(true);
    const held = tryLock(path);
    unlinkSync(path);
    writeFileSync(path, "another");
    held?.unlock({ remove: true });
    expect(existsSync(path)).toBe(true);
  });

  it("that cannot be made is a system error", async () => {
    await using dir = await tempDir();
    expect(() => tryLock(join(dir.path, "no", "a.lock"))).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });

  it("is free again when its holder was killed", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a.lock");
    const program = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, "flock.ts"))};
      globalThis.held = tryLock(process.argv[1]); console.log(globalThis.held !== undefined); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    expect(said.toString().trim()).toBe("true");
    expect(tryLock(path)).toBeUndefined();
    child.kill("SIGKILL");
    await once(child, "exit");
    using taken = tryLock(path);
    expect(taken).toBeDefined();
  });
});
