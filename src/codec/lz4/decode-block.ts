/**
 * The program that decodes one raw LZ4 block (the LZ4 block format description, "Compressed block format"), in WebAssembly. node:zlib has no LZ4;
 * the same in JavaScript takes four times as long (a file system's content at 1.0 instead of 4.0 GB/s), which is more than the two hashes
 * that a disk's bytes need, and would be most of what pulling one costs. Copies of 16 bytes are one instruction each here, so they are
 * rounded up to 16 bytes: up to {@link OVERSHOOT} bytes behind the block's place are overwritten, and as many behind its source are read.
 */
import {
  add,
  advance,
  and,
  atLeast,
  atMost,
  equal,
  giveBack,
  goTo,
  goToIf,
  greater,
  isZero,
  less,
  load128,
  load16,
  load8,
  loop,
  set,
  shiftLeft,
  shiftRight,
  store128,
  sub,
  tee,
  when,
  type Code,
  type Label,
  type Local,
} from "../wasm/instructions.ts";
import { compileFunction, type CompiledModule } from "../wasm/module.ts";

/** Bytes behind source and target that must be there. */
export const OVERSHOOT = 32;

/** What the program gives back for a block that is wrong: `BLOCK_FLAWS[-result]`. */
export const BLOCK_FLAWS = [
  "",
  "is cut short",
  "has literals beyond its size",
  "has a match beyond its size",
  "has a match that reaches back before the first byte",
] as const;

const CUT_SHORT = -1;
const LITERALS_BEYOND = -2;
const MATCH_BEYOND = -3;
const BEFORE_START = -4;

const WIDTH = 16;
const MINIMAL_MATCH = 4;
const EXTENDED = 15;

let compiled: CompiledModule | undefined;

/**
 * A function of five addresses: `source`, `sourceEnd`, `target`, `targetEnd`, which the block must not come beyond, and `oldest`, of the first
 * byte that a match may reach. It gives the number of bytes that the block decodes to, or a negative one for a flaw.
 */
export function blockDecoder(): CompiledModule {
  return (compiled ??= compileFunction(
    {
      parameters: ["source", "sourceEnd", "target", "targetEnd", "oldest"],
      variables: ["start", "token", "length", "more", "from", "to", "distance"],
    },
    (locals) => {
      const { source, sourceEnd, target, targetEnd, oldest, start, token, length, from, to, distance } = locals;
      const sequences: Label = { name: "sequences" };
      return [
        set(start, target),
        loop(
          sequences,
          when(atLeast(source, sourceEnd), giveBack(CUT_SHORT)),
          set(token, load8(source)),
          advance(source, 1),

          set(length, shiftRight(token, 4)),
          when(equal(length, EXTENDED), extendLength(locals)),
          when(greater(length, sub(sourceEnd, source)), giveBack(CUT_SHORT)),
          when(greater(length, sub(targetEnd, target)), giveBack(LITERALS_BEYOND)),
          set(from, source),
          set(to, target),
          advance(source, length),
          advance(target, length),
          copy(from, to, target),

          // The last sequence is literals alone.
          when(equal(source, sourceEnd), giveBack(sub(target, start))),

          when(less(sub(sourceEnd, source), 2), giveBack(CUT_SHORT)),
          set(distance, load16(source)),
          advance(source, 2),
          when(isZero(distance), giveBack(BEFORE_START)),
          when(greater(distance, sub(target, oldest)), giveBack(BEFORE_START)),
          set(length, and(token, EXTENDED)),
          when(equal(length, EXTENDED), extendLength(locals)),
          advance(length, MINIMAL_MATCH),
          when(greater(length, sub(targetEnd, target)), giveBack(MATCH_BEYOND)),
          set(from, sub(target, distance)),
          set(to, target),
          advance(target, length),
          when(less(distance, WIDTH), spread(from, to, distance)),
          copy(from, to, target),
          goTo(sequences),
        ),
      ];
    },
  ));
}

interface LengthLocals {
  readonly source: Local;
  readonly sourceEnd: Local;
  readonly length: Local;
  readonly more: Local;
}

/** Bytes are added as long as they are 255. A source of a few MiB cannot make the sum overflow. */
function extendLength({ source, sourceEnd, length, more }: LengthLocals): Code {
  const bytes: Label = { name: "length" };
  return loop(
    bytes,
    when(atLeast(source, sourceEnd), giveBack(CUT_SHORT)),
    advance(length, tee(more, load8(source))),
    advance(source, 1),
    goToIf(bytes, equal(more, 255)),
  );
}

/** Copies at least what lies between `to` and `end`, and at least 16 bytes. `from` is 16 bytes before it, or elsewhere. */
function copy(from: Local, to: Local, end: Local): Code {
  const bytes: Label = { name: "copy" };
  return loop(
    bytes,
    store128(to, load128(from)),
    advance(from, WIDTH),
    goToIf(bytes, less(tee(to, add(to, WIDTH)), end)),
  );
}

/**
 * A match that reaches into itself repeats its first bytes. Each step copies what is right of 16 bytes, which doubles how much lies between
 * `from` and `to`, until copies of 16 bytes are all right.
 */
function spread(from: Local, to: Local, distance: Local): Code {
  const doubling: Label = { name: "doubling" };
  return loop(
    doubling,
    store128(to, load128(from)),
    advance(to, distance),
    goToIf(doubling, atMost(tee(distance, shiftLeft(distance, 1)), WIDTH - 1)),
  );
}
