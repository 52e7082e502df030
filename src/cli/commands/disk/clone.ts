/** `varve disk clone IMAGE|DIR NEWDIR` */
import { resolve } from "node:path";
import type { CloneResult } from "../../../transfer/disks/clone.ts";
import { parsePath } from "../../parse-values.ts";
import { renderClone } from "../../print/disk-clone.ts";
import type { Action } from "../actions/action.ts";

export const cloneAction: Action<CloneResult> = {
  name: "clone",
  usage: "clone IMAGE|DIR NEWDIR [--keep-mac] [--verify] [--no-reflink]",
  words: [2, 2],
  completes: (words) => (words.length === 0 ? "image" : "directory"),
  flags: [
    { flags: "--keep-mac", summary: "leave the address of the network card as it is" },
    { flags: "--verify", summary: "read back what was written and compare it with where it came from" },
    { flags: "--no-reflink", summary: "share no blocks with where it comes from, though the file system could" },
  ],
  notes: [
    "clone makes one more machine to run: as export does, and with a random address of its network card, so that both can be in one network. " +
      "A machine that runs is not to be cloned.",
  ],
  examples: ["varve disk clone ghcr.io/org/vm:1 one && varve disk clone ./one two"],

  async run({ args, flags, services, logger }) {
    const [source = "", target = ""] = args;
    const cloned = await services.cloneMachine(parsePath("IMAGE|DIR", source), resolve(parsePath("NEWDIR", target)), {
      keepMac: flags["keepMac"] === true,
      verify: flags["verify"] === true,
      reflink: flags["reflink"] !== false,
    });
    for (const warning of cloned.warnings) logger.warn(warning);
    return cloned;
  },

  render: renderClone,
};
