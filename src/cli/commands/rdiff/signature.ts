/** `varve rdiff signature BASIS SIG` */
import { STRONG_SUMS, WEAK_SUMS } from "../../../codec/librsync/kinds.ts";
import { LARGEST_BLOCK, type SignatureOptions } from "../../../codec/librsync/signature-sizes.ts";
import { parseChoice, parseCount } from "../../parse-values.ts";
import { FORCE_FLAG, type RdiffAction } from "./action.ts";
import { parsePlace } from "./parse-place.ts";

export const signatureAction: RdiffAction = {
  name: "signature",
  usage: "signature BASIS SIG [-b BYTES] [-S BYTES] [-H HASH] [-R SUM] [--force]",
  words: 2,
  flags: [
    {
      flags: "-b, --block-size <bytes>",
      summary: "of a block; default, or 0: 256 for small files, else near the root of the file's size",
    },
    {
      flags: "-S, --sum-size <bytes>",
      summary: "of each strong sum; default, or 0: all of it; least, or -1: as many as are safe for the file's size",
    },
    { flags: "-H, --hash <hash>", summary: "strong sum; default blake2", choices: STRONG_SUMS },
    { flags: "-R, --rollsum <sum>", summary: "weak sum; default rabinkarp", choices: WEAK_SUMS },
    FORCE_FLAG,
  ],

  async run({ args, flags, services }) {
    const [basis, output] = [parsePlace("BASIS", args[0]), parsePlace("SIG", args[1])];
    return services.rdiffSignature(basis, output, { ...sizesOf(flags), force: flags["force"] === true });
  },
};

/** Zero stands for the default, as with `rdiff`. */
function sizesOf({ blockSize, sumSize, hash, rollsum }: Readonly<Record<string, unknown>>): SignatureOptions {
  const block = typeof blockSize === "string" ? parseCount("--block-size", blockSize, 0, LARGEST_BLOCK) : 0;
  const isLeast = sumSize === "least" || sumSize === "-1";
  const sum = typeof sumSize === "string" && !isLeast ? parseCount("--sum-size", sumSize, 0, 32) : 0;
  return {
    ...(block > 0 && { blockBytes: block }),
    ...(isLeast && { strongBytes: "least" }),
    ...(sum > 0 && { strongBytes: sum }),
    ...(typeof hash === "string" && { strong: parseChoice("--hash", hash, STRONG_SUMS) }),
    ...(typeof rollsum === "string" && { weak: parseChoice("--rollsum", rollsum, WEAK_SUMS) }),
  };
}
