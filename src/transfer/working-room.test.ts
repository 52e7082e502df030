import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { freeSpace } from "../sys/free-space.ts";
import { ensureWorkingRoom, RoomWatch } from "./working-room.ts";

describe("room to work in", () => {
  it("is there for what is small, and not for more than the disk has", async () => {
    await using dir = await tempDir();
    const free = await freeSpace(dir.path);
    await ensureWorkingRoom(dir.path, 1000, "the tar");
    if (free === undefined) return;
    await expect(ensureWorkingRoom(dir.path, 2 * free, "the tar")).rejects.toMatchObject({
      code: "NO_SPACE",
      message: /^the tar does not fit into /,
      detail: { needed: expect.any(Number), free: expect.any(Number), missing: expect.any(Number) },
    });
  });

  it("is not asked for where nobody knows how much there is", async () => {
    await ensureWorkingRoom("/nowhere", 2 ** 50, "the tar");
    const watch = new RoomWatch("/nowhere", "the tar", 5);
    for (const size of [0, 1, 2 ** 30, 2 ** 50]) await watch.grown(size);
  });
});
