/** `varve rdiff diff BASIS NEW DELTA` */
import { FORCE_FLAG, type RdiffAction } from "./action.ts";
import { parsePlace } from "./parse-place.ts";

export const diffAction: RdiffAction = {
  name: "diff",
  usage: "diff BASIS NEW DELTA [--force]",
  words: 3,
  flags: [FORCE_FLAG],

  async run({ args, flags, services }) {
    const [basis, target] = [parsePlace("BASIS", args[0]), parsePlace("NEW", args[1])];
    return services.rdiffDiff(basis, target, parsePlace("DELTA", args[2]), { force: flags["force"] === true });
  },
};
