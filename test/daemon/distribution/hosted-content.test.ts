/** Both places that are pushed to: a store's repositories, and the directory of the test kit's registry. */
import { describe } from "vitest";
import { storeRepositories } from "../../../src/daemon/distribution/store-repositories.ts";
import { openStore } from "../../../src/store/store.ts";
import { RegistryDisk } from "../../kit/registry/disk.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import { hostedContentSuite } from "./hosted-content.suite.ts";

describe("a store's repositories", () => {
  hostedContentSuite(async () => {
    const dir = await tempDir();
    const store = await openStore(dir.path, { sync: false });
    const close = async (): Promise<void> => {
      await store.close();
      await dir[Symbol.asyncDispose]();
    };
    return { content: storeRepositories(store), directory: dir.path, [Symbol.asyncDispose]: close };
  });
});

describe("the kit's registry", () => {
  hostedContentSuite(async () => {
    const dir = await tempDir();
    return {
      content: new RegistryDisk(dir.path),
      directory: dir.path,
      [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
    };
  });
});
