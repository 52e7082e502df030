/** `varve disk export IMAGE DIR` and `varve disk export --raw IMAGE FILE` */
import { resolve } from "node:path";
import { VarveError } from "../../../errors/varve-error.ts";
import type { ExportResult } from "../../../transfer/disks/export.ts";
import { parsePath } from "../../parse-values.ts";
import { renderExport } from "../../print/disk-export.ts";
import type { Action } from "../actions/action.ts";

export const exportAction: Action<ExportResult> = {
  name: "export",
  usage: "export IMAGE DIR [--force] [--verify] [--no-reflink]; export --raw IMAGE FILE [--disk NAME]",
  words: [2, 2],
  completes: (words) => (words.length === 0 ? "image" : "file"),
  flags: [
    { flags: "--force", summary: "replace files of a directory that is not empty" },
    { flags: "--raw", summary: "write the disk alone, to a file or a block device" },
    { flags: "--disk <name>", summary: "with --raw: which disk, of a machine that has several" },
    { flags: "--verify", summary: "read back what was written and compare it with where it came from" },
    { flags: "--no-reflink", summary: "share no blocks with where it comes from, though the file system could" },
  ],
  notes: [
    "export writes the directory of a machine as the program had it that made the image: of Tart config.json, disk.img, nvram.bin and manifest.json. " +
      "DIR appears whole or not at all.",
  ],
  examples: ["varve disk export ghcr.io/org/vm:1 vm", "varve disk export --raw ghcr.io/org/vm:1 vm.img"],

  async run({ args, flags, services, logger }) {
    const [image = "", target = ""] = args;
    const { disk } = flags;
    const [raw, force] = [flags["raw"] === true, flags["force"] === true];
    if (raw && force) throw new VarveError("USAGE", "--raw replaces a file in any case: leave out --force");
    if (!raw && disk !== undefined) throw new VarveError("USAGE", "--disk goes with --raw");
    const options = { verify: flags["verify"] === true, reflink: flags["reflink"] !== false };
    const exported = raw
      ? await services.exportDisk(image, resolve(parsePath("FILE", target)), {
          ...options,
          ...(typeof disk === "string" && { disk }),
        })
      : await services.exportMachine(image, resolve(parsePath("DIR", target)), { ...options, force });
    for (const warning of exported.warnings) logger.warn(warning);
    return exported;
  },

  render: renderExport,
};
