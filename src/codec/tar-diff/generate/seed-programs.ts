/**
 * The inner loops of what finds bytes of the new file in the old one, in WebAssembly: JavaScript has no 64 bits to hash and compare with. All places
 * are addresses of one memory. Seeds of {@link SEED_BYTES} of the old file are chained by their hash; a zero ends a chain, others are numbers from 1 on.
 */
import {
  add,
  advance,
  and,
  atLeast,
  block,
  choose,
  equal,
  giveBack,
  goTo,
  goToIf,
  greater,
  isZero,
  less,
  load32,
  load64,
  load8,
  loop,
  multiply,
  narrow,
  set,
  shiftLeft,
  shiftRight,
  store32,
  sub,
  when,
  wide,
  wideEqual,
  wideIsZero,
  wideMultiply,
  wideShiftRight,
  wideTrailingZeros,
  wideXor,
  widen,
  type Code,
  type Label,
  type Local,
  type Value,
} from "../../wasm/instructions.ts";
import { compileFunction } from "../../wasm/module.ts";
import { compiledOnce } from "./compiled-once.ts";

/** Of two releases of one program the delta is 1 % larger with 16, and no smaller with 8. */
export const SEED_BYTES = 12;
/** How many of a chain are compared. With 16 the delta is 0.5 % smaller, and takes a third longer. */
const MOST_TRIES = 8;
/** As far as candidates are compared: what goes on is followed without looking for it. Else runs of one byte would take forever. */
const MOST_COMPARED = 1024;
/** A match must have more bytes than this beyond those that the alignment at hand has in the same place, as in bsdiff: turning to it costs some. */
const LEAST_GAIN = 8;
/** Where what was found is told. */
export const FOUND_AT = 0;
export const FOUND_LENGTH = 4;

const FACTORS = [0x9e3779b97f4a7c15n, 0xbf58476d1ce4e5b9n].map((factor) => wide(BigInt.asIntN(64, factor)));

/** Where the number stands with which the chain of the seed at the address begins. */
function chainOf(address: Local, heads: Local, shift: Local): Code {
  const [first, second] = FACTORS as [Code, Code];
  const mixed = wideMultiply(wideXor(wideMultiply(load64(address), first), widen(load32(address, 8))), second);
  return add(heads, shiftLeft(narrow(wideShiftRight(mixed, widen(shift))), 2));
}

/** Where the number stands that follows a number in its chain. */
function behind(number: Value, nexts: Local): Code {
  return add(nexts, shiftLeft(sub(number, 1), 2));
}

function smaller(one: Value, other: Value): Code {
  return choose(less(one, other), one, other);
}

/**
 * Chains seeds: `insert(old, seeds, spacing, heads, nexts, shift)`; the first is at `old`. From the last to the first, so that chains begin with the
 * lowest places.
 */
export const insertProgram = compiledOnce(() =>
  compileFunction(
    { parameters: ["old", "seeds", "spacing", "heads", "nexts", "shift"], variables: ["at", "chain"] },
    ({ old, seeds, spacing, heads, nexts, shift, at, chain }) => {
      const all: Label = { name: "all" };
      return [
        set(at, add(old, multiply(seeds, spacing))),
        loop(
          all,
          when(
            greater(seeds, 0),
            set(at, sub(at, spacing)),
            set(chain, chainOf(at, heads, shift)),
            store32(behind(seeds, nexts), load32(chain)),
            store32(chain, seeds),
            set(seeds, sub(seeds, 1)),
            goTo(all),
          ),
        ),
      ];
    },
  ),
);

/**
 * Looks for the next bytes of the new file that the old one has elsewhere than where the last match goes on:
 * `find(at, end, old, oldEnd, offset, spacing, heads, nexts, shift)`, with `offset` from the new to the old of the alignment at hand. Gives the address
 * where they begin, or `end`; what is found is told at {@link FOUND_AT}.
 */
export const findProgram = compiledOnce(() =>
  compileFunction(
    {
      parameters: ["at", "end", "old", "oldEnd", "offset", "spacing", "heads", "nexts", "shift"],
      variables: ["aligned", "number", "tries", "candidate", "most", "count", "best", "bestAt", "score"],
      wide: ["difference"],
    },
    (locals) => {
      const { at, end, offset, heads, nexts, shift } = locals;
      const { aligned, number, tries, best, bestAt, score } = locals;
      const places: Label = { name: "places" };
      const chain: Label = { name: "chain" };
      const chained: Label = { name: "chained" };
      return [
        loop(
          places,
          when(atLeast(at, end), giveBack(end)),
          set(aligned, add(at, offset)),
          followAlignment(locals, places),
          when(less(sub(end, at), SEED_BYTES), giveBack(end)),
          set(number, load32(chainOf(at, heads, shift))),
          set(best, 0),
          set(tries, 0),
          block(
            chained,
            loop(
              chain,
              goToIf(chained, isZero(number)),
              compareCandidate(locals),
              set(number, load32(behind(number, nexts))),
              advance(tries, 1),
              goToIf(chain, less(tries, MOST_TRIES)),
            ),
          ),
          when(
            atLeast(best, SEED_BYTES),
            set(score, 0),
            countAligned(locals),
            when(
              greater(best, add(score, LEAST_GAIN)),
              store32(0, bestAt, FOUND_AT),
              store32(0, best, FOUND_LENGTH),
              giveBack(at),
            ),
          ),
          advance(at, 1),
          goTo(places),
        ),
      ];
    },
  ),
);

type FindLocals = Readonly<
  Record<
    | "at"
    | "end"
    | "old"
    | "oldEnd"
    | "offset"
    | "spacing"
    | "aligned"
    | "number"
    | "candidate"
    | "most"
    | "count"
    | "best"
    | "bestAt"
    | "score"
    | "difference",
    Local
  >
>;

/** Whether the address is in the old file, or further words of it. */
function isOld(address: Local, { old, oldEnd }: FindLocals): Code {
  return less(sub(address, old), sub(oldEnd, old));
}

/** Eight bytes or more that are where they are expected need not be looked for: passes over all that follow each other, and begins anew behind them. */
function followAlignment(locals: FindLocals, again: Label): Code {
  const { at, end, oldEnd, aligned } = locals;
  const words: Label = { name: "words" };
  const bytes: Label = { name: "bytes" };
  const hasWord = and(atLeast(sub(end, at), 8), atLeast(sub(oldEnd, aligned), 8));
  const onwards = (by: number): Code => [...advance(at, by), ...advance(aligned, by)];
  return when(
    isOld(aligned, locals),
    when(
      and(hasWord, wideEqual(load64(at), load64(aligned))),
      loop(words, onwards(8), when(hasWord, goToIf(words, wideEqual(load64(at), load64(aligned))))),
      loop(
        bytes,
        when(
          and(less(at, end), less(aligned, oldEnd)),
          when(equal(load8(at), load8(aligned)), onwards(1), goTo(bytes)),
        ),
      ),
      goTo(again),
    ),
  );
}

/** Keeps the candidate when it has more bytes than the best so far. */
function compareCandidate(locals: FindLocals): Code {
  const { at, end, old, oldEnd, spacing, number, candidate, most, count, best, bestAt, difference } = locals;
  const words: Label = { name: "words" };
  const bytes: Label = { name: "bytes" };
  const counted: Label = { name: "counted" };
  const one = add(at, count);
  const other = add(candidate, count);
  return [
    ...set(candidate, add(old, multiply(sub(number, 1), spacing))),
    ...set(most, smaller(smaller(sub(end, at), sub(oldEnd, candidate)), MOST_COMPARED)),
    ...set(count, 0),
    ...block(
      counted,
      goToIf(counted, atLeast(best, most)),
      goToIf(counted, isZero(equal(load8(add(at, best)), load8(add(candidate, best))))),
      loop(
        words,
        when(
          atLeast(most, add(count, 8)),
          set(difference, wideXor(load64(one), load64(other))),
          when(wideIsZero(difference), advance(count, 8), goTo(words)),
          advance(count, shiftRight(narrow(wideTrailingZeros(difference)), 3)),
          goTo(counted),
        ),
      ),
      loop(bytes, when(less(count, most), when(equal(load8(one), load8(other)), advance(count, 1), goTo(bytes)))),
    ),
    ...when(greater(count, best), set(best, count), set(bestAt, candidate)),
  ];
}

/** Counts in `score` what of the best match the alignment at hand has too, as far as that can matter. */
function countAligned(locals: FindLocals): Code {
  const { at, offset, aligned, count, best, score } = locals;
  const bytes: Label = { name: "bytes" };
  return [
    ...set(count, 0),
    ...loop(
      bytes,
      set(aligned, add(add(at, count), offset)),
      when(isOld(aligned, locals), when(equal(load8(add(at, count)), load8(aligned)), advance(score, 1))),
      advance(count, 1),
      goToIf(bytes, less(count, best)),
    ),
  ];
}
