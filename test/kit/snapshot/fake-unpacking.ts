/** Threads that read layers through and make nothing of them, for tests of what is unpacked when. */
import { checkLayer } from "../../../src/layer/check-layer.ts";
import { inProcess } from "../../../src/layer/in-process.ts";
import { readFrontFile } from "../../../src/layer/read-front-file.ts";
import type { UnpackedLayer } from "../../../src/layer/layer-target.ts";
import type { LayerThreads } from "../../../src/layer/threads.ts";

/** @param onUnpack called with the DiffID when a layer has been read through */
export function fakeUnpacking(onUnpack: (unpacked: UnpackedLayer) => Promise<void> | void = () => {}): LayerThreads {
  return {
    ...inProcess,
    async unpack(file, _, { algorithm = "sha256", signal }) {
      const { diffId, size, entries } = await checkLayer(readFrontFile(file, signal), { algorithm, signal });
      const skipped = { owners: 0, devices: 0, xattrs: 0 };
      const report = { entries, files: 0, bytes: 0, directories: 0, links: 0, whiteouts: 0, skipped, warnings: [] };
      const unpacked = { diffId, size, report, open: { implied: [], replay: undefined } };
      await onUnpack(unpacked);
      return unpacked;
    },
  };
}
