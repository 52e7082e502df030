import { describe, expect, it } from "vitest";
import { assemble, file, fileOf, inChunks, record, tarOf } from "../../../test/codec/tar-splits.ts";
import { assembleTar, type TarSplitFile } from "./assemble.ts";
import { readTarSplit } from "./reader.ts";

async function failToOpen(): Promise<TarSplitFile> {
  throw Object.assign(new Error("disk"), { code: "EIO" });
}

describe("assembly of a tar-split", () => {
  const tar = tarOf(file("etc/hosts", "127.0.0.1 localhost"), file("etc/empty"));
  const { split, files } = record(tar);
  const broken = async (content: Buffer | TarSplitFile | undefined): Promise<void> => {
    const tree = new Map<string, Buffer | TarSplitFile>(files);
    if (content === undefined) tree.delete("etc/hosts");
    else tree.set("etc/hosts", content);
    await expect(assemble(split, tree)).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
  };

  it("notices a file that was changed, cut, lengthened or removed", async () => {
    await broken(Buffer.from("127.0.0.2 localhost"));
    await broken(Buffer.from("127.0.0.1 localhos"));
    await broken(Buffer.from("127.0.0.1 localhost\n"));
    await broken(undefined);
    await broken(fileOf(Buffer.from("127.0.0.1 localhost and more"), 19));
    await broken(fileOf(Buffer.from("127.0.0.1"), 19));
  });

  it("notices a symlink or a directory in the place of a file", async () => {
    for (const code of ["ELOOP", "EISDIR", "ENOTDIR"]) {
      const open = () => Promise.reject(Object.assign(new Error(code), { code }));
      const assembled = Array.fromAsync(assembleTar(readTarSplit(inChunks(split)), open));
      await expect(assembled).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
    }
  });

  it("does not open empty files", async () => {
    expect((await assemble(split, new Map([["etc/hosts", Buffer.from("127.0.0.1 localhost")]]))).equals(tar)).toBe(
      true,
    );
  });

  it("closes each file, also one that fails, and passes other errors on", async () => {
    let open = 0;
    const counted = (size: number): TarSplitFile => {
      open++;
      return { ...fileOf(Buffer.from("127.0.0.1 localhost"), size), [Symbol.asyncDispose]: async () => void open-- };
    };
    await assemble(split, new Map([["etc/hosts", counted(19)]]));
    await broken(counted(20));
    expect(open).toBe(0);
    await expect(Array.fromAsync(assembleTar(readTarSplit(inChunks(split)), failToOpen))).rejects.toThrow("disk");
  });
});
