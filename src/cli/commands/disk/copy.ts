/** `varve disk copy SRC DST` */
import { resolve } from "node:path";
import type { DiskCopy } from "../../../disk/copy-report.ts";
import { SPARSE_MODES } from "../../../disk/sparse-modes.ts";
import { parseChoice, parsePath } from "../../parse-values.ts";
import { renderDiskCopy } from "../../print/disk-copy.ts";
import type { Action } from "../actions/action.ts";

export const copyAction: Action<DiskCopy> = {
  name: "copy",
  usage: "copy SRC DST [--sparse MODE] [--verify] [--no-reflink] [--in-place]",
  words: [2, 2],
  completes: () => "file",
  flags: [
    {
      flags: "--sparse <mode>",
      summary: "keep the holes there are, make holes of all zeros, or have none; default auto",
      choices: SPARSE_MODES,
    },
    { flags: "--verify", summary: "read back what was written and compare it with where it came from" },
    { flags: "--no-reflink", summary: "share no blocks with where it comes from, though the file system could" },
    {
      flags: "--in-place",
      summary: "change a file that is there where it differs, instead of replacing it when all is done",
    },
  ],
  notes: [
    "copy takes no more space than the data does: holes stay holes. DST is a file, which is the old one or the whole new one at any moment, or a " +
      "block device that nobody uses, which is written where it is.",
  ],
  examples: ["varve disk copy base.img vm1.img", "varve disk copy --sparse always --verify base.img /backup/base.img"],

  async run({ args, flags, services, logger }) {
    const [from = "", to = ""] = args;
    const { sparse, reflink, verify, inPlace } = flags;
    const copied = await services.copyDisk(resolve(parsePath("SRC", from)), resolve(parsePath("DST", to)), {
      ...(typeof sparse === "string" && { sparse: parseChoice("--sparse", sparse, SPARSE_MODES) }),
      reflink: reflink !== false,
      verify: verify === true,
      inPlace: inPlace === true,
    });
    for (const warning of copied.warnings) logger.warn(warning);
    return copied;
  },

  render: renderDiskCopy,
};
