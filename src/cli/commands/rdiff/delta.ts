/** `varve rdiff delta SIG NEW DELTA` */
import { FORCE_FLAG, type RdiffAction } from "./action.ts";
import { parsePlace } from "./parse-place.ts";

export const deltaAction: RdiffAction = {
  name: "delta",
  usage: "delta SIG NEW DELTA [--force]",
  words: 3,
  flags: [FORCE_FLAG],

  async run({ args, flags, services }) {
    const [signature, target] = [parsePlace("SIG", args[0]), parsePlace("NEW", args[1])];
    return services.rdiffDelta(signature, target, parsePlace("DELTA", args[2]), { force: flags["force"] === true });
  },
};
