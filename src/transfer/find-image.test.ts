import { describe, expect, it } from "vitest";
import { putImage } from "../../test/kit/store/put-image.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { digestHex } from "../oci/digest.ts";
import { findImage, findImages } from "./find-image.ts";

const names = (records: readonly { name: string }[]): string[] => records.map(({ name }) => name);

describe("findImage", () => {
  it("knows an image by any spelling of its name", async () => {
    const { store } = await transferContext();
    await putImage(store, "docker.io/library/app:latest");
    for (const text of ["app", "app:latest", "library/app", "docker.io/app", "docker://app"]) {
      expect((await findImage(store, text)).name).toBe("docker.io/library/app:latest");
    }
    await expect(findImage(store, "app:2")).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await expect(findImage(store, "NO/name")).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
  });

  it("knows it by the digest of root, manifest or config, and by six digits of it", async () => {
    const { store } = await transferContext();
    const { entry, config } = await putImage(store, "docker.io/library/app:1", { index: true });
    await putImage(store, "docker.io/library/other:1", { text: "other" });
    for (const digest of [entry.descriptor.digest, entry.manifest.digest, config.digest]) {
      for (const text of [
        digest,
        digestHex(digest),
        digestHex(digest).slice(0, 12),
        `sha256:${digestHex(digest).slice(0, 6)}`,
      ]) {
        expect((await findImage(store, text)).name).toBe(entry.name);
      }
    }
    const unknown = "0".repeat(64);
    await expect(findImage(store, `sha256:${unknown}`)).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    // Five digits may be a name, and are one that is not there.
    await expect(findImage(store, digestHex(config.digest).slice(0, 5))).rejects.toMatchObject({ exitCode: 3 });
  });

  it("takes NAME@DIGEST for NAME at whatever tag, and not for another name", async () => {
    const { store } = await transferContext();
    const { entry } = await putImage(store, "docker.io/library/app2:1");
    const { digest } = entry.descriptor;
    await expect(findImage(store, `app@${digest}`)).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await putImage(store, "docker.io/library/app:1");
    expect((await findImage(store, `app@${digest}`)).name).toBe("docker.io/library/app:1");
    expect((await findImage(store, `app2@${digest}`)).name).toBe("docker.io/library/app2:1");
  });

  it("prefers a name to a digest, even one that looks like it", async () => {
    const { store } = await transferContext();
    const { config } = await putImage(store, "docker.io/library/app:1");
    const prefix = digestHex(config.digest).slice(0, 8);
    await putImage(store, `docker.io/library/${prefix}:latest`, { text: "other" });
    expect((await findImage(store, prefix)).name).toBe(`docker.io/library/${prefix}:latest`);
  });

  it("means all names of an image by its digest", async () => {
    const { store } = await transferContext();
    const { config } = await putImage(store, "docker.io/library/a:1");
    await putImage(store, "docker.io/library/b:1");
    expect(names(await findImages(store, config.digest))).toEqual(["docker.io/library/a:1", "docker.io/library/b:1"]);
    const found = await findImages(store, digestHex(config.digest).slice(0, 6));
    expect(found).toHaveLength(2);
  });
});
