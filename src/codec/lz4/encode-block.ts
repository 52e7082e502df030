/**
 * The program that encodes one raw LZ4 block (the LZ4 block format description), in WebAssembly for the reasons that `decode-block.ts` names.
 * One table tells where five bytes were seen last; the first match found there is taken, made as long as it goes to both sides, and where
 * nothing matches for long, steps become longer, so that what cannot be compressed costs little. Equal input gives equal output.
 */
import {
  add,
  advance,
  and,
  atLeast,
  atMost,
  block,
  choose,
  equal,
  giveBack,
  goTo,
  goToIf,
  greater,
  less,
  load128,
  load32,
  load64,
  load8,
  loop,
  narrow,
  or,
  set,
  shiftLeft,
  shiftRight,
  store128,
  store16,
  store32,
  store8,
  sub,
  tee,
  when,
  wide,
  wideIsZero,
  wideMultiply,
  wideShiftLeft,
  wideShiftRight,
  wideTrailingZeros,
  wideXor,
  type Code,
  type Label,
  type Local,
  type Value,
} from "../wasm/instructions.ts";
import { compileFunction, type CompiledModule } from "../wasm/module.ts";

const TABLE_BITS = 14;
/** Of the table, which lies at address 0 of the memory: addresses of 32 bits, zero where nothing was seen. */
export const TABLE_BYTES = 4 << TABLE_BITS;
/** Bytes behind source and target that must be there. */
export const ENCODE_OVERSHOOT = 32;

const WIDTH = 16;
const MINIMAL_MATCH = 4;
const EXTENDED = 15;
const FARTHEST = 65_535;
/** The format's end of block rules: no match begins in the last 12 bytes, or reaches into the last 5. */
const LAST_MATCH_START = 12;
const LAST_LITERALS = 5;
/** Steps become a byte longer each 64 tries. */
const PATIENCE_BITS = 6;
/** Spreads five bytes over the upper bits: a prime near 2^40 divided by the golden ratio. */
const FIVE_BYTES_PRIME = 889_523_592_379n;

let compiled: CompiledModule | undefined;

/**
 * A function of four addresses: `source`, `sourceEnd`, `target`, and `oldest`, of the first byte that a match may reach. It gives the address
 * behind what it wrote, which is at most {@link largestEncoding}.
 */
export function blockEncoder(): CompiledModule {
  return (compiled ??= compileFunction(
    {
      parameters: ["source", "sourceEnd", "target", "oldest"],
      variables: ["anchor", "match", "slot", "tries", "token", "length", "from", "to", "lastStart", "lastEnd"],
      wide: ["difference"],
    },
    (locals) => {
      const { source, sourceEnd, target, oldest, anchor, match, slot, tries, token, length, to } = locals;
      const { lastStart, lastEnd } = locals;
      const sequences: Label = { name: "sequences" };
      const done: Label = { name: "done" };
      const found: Label = { name: "found" };
      const search: Label = { name: "search" };
      const isMatch = and(
        and(atLeast(match, oldest), less(sub(sub(source, match), 1), FARTHEST)),
        equal(load32(match), load32(source)),
      );
      return [
        set(anchor, source),
        block(
          done,
          goToIf(done, atMost(sub(sourceEnd, source), LAST_MATCH_START)),
          set(lastStart, sub(sourceEnd, LAST_MATCH_START)),
          set(lastEnd, sub(sourceEnd, LAST_LITERALS)),
          loop(
            sequences,
            set(tries, 1 << PATIENCE_BITS),
            block(
              found,
              loop(
                search,
                goToIf(done, greater(source, lastStart)),
                set(slot, slotOf(source)),
                set(match, load32(slot)),
                store32(slot, source),
                goToIf(found, isMatch),
                advance(source, shiftRight(tries, PATIENCE_BITS)),
                advance(tries, 1),
                goTo(search),
              ),
            ),
            extendBackwards(locals),
            set(length, sub(source, anchor)),
            writeLiterals(locals),
            store16(target, sub(source, match)),
            advance(target, 2),
            extendForwards(locals),
            set(length, sub(sub(to, source), MINIMAL_MATCH)),
            store8(token, or(load8(token), atMostExtended(length))),
            writeLength(target, length),
            set(source, to),
            set(anchor, to),
            goToIf(done, greater(source, lastStart)),
            store32(slotOf(sub(source, 2)), sub(source, 2)),
            goTo(sequences),
          ),
        ),
        set(length, sub(sourceEnd, anchor)),
        writeLiterals(locals),
        giveBack(target),
      ];
    },
  ));
}

type Locals<Name extends string> = Readonly<Record<Name, Local>>;

/** The address in the table for the five bytes that lie there. */
function slotOf(address: Value): Code {
  const spread = wideMultiply(wideShiftLeft(load64(address), wide(24n)), wide(FIVE_BYTES_PRIME));
  return shiftLeft(narrow(wideShiftRight(spread, wide(BigInt(64 - TABLE_BITS)))), 2);
}

function extendBackwards({ source, anchor, match, oldest }: Locals<"source" | "anchor" | "match" | "oldest">): Code {
  const bytes: Label = { name: "backwards" };
  return loop(
    bytes,
    when(
      and(greater(source, anchor), greater(match, oldest)),
      when(equal(load8(sub(source, 1)), load8(sub(match, 1))), advance(source, -1), advance(match, -1), goTo(bytes)),
    ),
  );
}

/** Sets `to` behind the last byte of the match. */
function extendForwards(locals: Locals<"source" | "match" | "from" | "to" | "lastEnd" | "difference">): Code {
  const { source, match, from, to, lastEnd, difference } = locals;
  const end: Label = { name: "end of the match" };
  const words: Label = { name: "words" };
  const bytes: Label = { name: "bytes" };
  return [
    ...set(from, add(match, MINIMAL_MATCH)),
    ...set(to, add(source, MINIMAL_MATCH)),
    ...block(
      end,
      loop(
        words,
        when(
          atMost(add(to, 8), lastEnd),
          set(difference, wideXor(load64(from), load64(to))),
          when(wideIsZero(difference), advance(from, 8), advance(to, 8), goTo(words)),
          advance(to, shiftRight(narrow(wideTrailingZeros(difference)), 3)),
          goTo(end),
        ),
      ),
      loop(
        bytes,
        goToIf(end, atLeast(to, lastEnd)),
        when(equal(load8(from), load8(to)), advance(from, 1), advance(to, 1), goTo(bytes)),
      ),
    ),
  ];
}

/** A token and `length` literals from `anchor` on. */
function writeLiterals(locals: Locals<"anchor" | "target" | "token" | "length" | "from" | "to">): Code {
  const { anchor, target, token, length, from, to } = locals;
  const bytes: Label = { name: "literals" };
  return [
    ...set(token, target),
    ...advance(target, 1),
    ...store8(token, shiftLeft(atMostExtended(length), 4)),
    ...set(from, length),
    ...writeLength(target, from),
    ...set(from, anchor),
    ...set(to, target),
    ...advance(target, length),
    ...loop(
      bytes,
      store128(to, load128(from)),
      advance(from, WIDTH),
      goToIf(bytes, less(tee(to, add(to, WIDTH)), target)),
    ),
  ];
}

function atMostExtended(length: Local): Code {
  return choose(less(length, EXTENDED), length, EXTENDED);
}

/** What of the length does not fit in the token, if anything: bytes to be added up, as long as they are 255. */
function writeLength(target: Local, length: Local): Code {
  const bytes: Label = { name: "length" };
  return when(
    atLeast(length, EXTENDED),
    advance(length, -EXTENDED),
    loop(
      bytes,
      when(atLeast(length, 255), store8(target, 255), advance(target, 1), advance(length, -255), goTo(bytes)),
    ),
    store8(target, length),
    advance(target, 1),
  );
}
