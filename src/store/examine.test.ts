import { describe, expect, it, vi } from "vitest";
import { putImage } from "../../test/kit/store/put-image.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { openStore } from "./store.ts";

describe("examining index.json while another process takes an image out", () => {
  it.each([1, 3])("finds no fault, however often that happens (%i times)", async (times) => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using other = await openStore(dir.path);
    const names = [0, 1, 2, 3].map((number) => `a.example/image:${number}`);
    for (const name of names) await putImage(store, name);
    const list = store.images.list.bind(store.images);
    let left = times;
    const spy = vi.spyOn(store.images, "list").mockImplementation(async () => {
      const before = await list();
      if (left-- > 0) await other.images.delete(names[left]!);
      return before;
    });
    expect(await store.examination.indexFault()).toBeUndefined();
    expect(spy).toHaveBeenCalledTimes(times + 1);
  });
});
