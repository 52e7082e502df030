/**
 * How far matches reach when some of their bytes may differ (bsdiff's rule: as far as the most bytes are the same beyond those that are not), and the
 * differences themselves: the other inner loops, in WebAssembly. All places are addresses of one memory.
 */
import {
  add,
  advance,
  atLeast,
  bytesSub,
  equal,
  giveBack,
  goTo,
  goToIf,
  greater,
  isZero,
  less,
  load128,
  load64,
  load8,
  loop,
  set,
  store128,
  store8,
  sub,
  tee,
  when,
  wideIsZero,
  type Label,
} from "../../wasm/instructions.ts";
import { compileFunction } from "../../wasm/module.ts";
import { compiledOnce } from "./compiled-once.ts";

/** Scores are counted from here, for numbers have no sign. */
const NO_SCORE = 2 ** 30;

/** How many bytes from both addresses on belong together: `forwards(one, other, most)`. */
export const forwardsProgram = compiledOnce(() =>
  compileFunction(
    { parameters: ["one", "other", "most"], variables: ["count", "score", "best", "length"] },
    ({ one, other, most, count, score, best, length }) => {
      const bytes: Label = { name: "bytes" };
      return [
        set(score, NO_SCORE),
        set(best, NO_SCORE),
        loop(
          bytes,
          when(
            less(count, most),
            when(equal(load8(add(one, count)), load8(add(other, count))), advance(score, 2)),
            advance(score, -1),
            advance(count, 1),
            when(greater(score, best), set(best, score), set(length, count)),
            goTo(bytes),
          ),
        ),
        giveBack(length),
      ];
    },
  ),
);

/** How many bytes before both addresses belong together: `backwards(one, other, most)`. */
export const backwardsProgram = compiledOnce(() =>
  compileFunction(
    { parameters: ["one", "other", "most"], variables: ["count", "score", "best", "length"] },
    ({ one, other, most, count, score, best, length }) => {
      const bytes: Label = { name: "bytes" };
      return [
        set(score, NO_SCORE),
        set(best, NO_SCORE),
        loop(
          bytes,
          when(
            less(count, most),
            advance(count, 1),
            when(equal(load8(sub(one, count)), load8(sub(other, count))), advance(score, 2)),
            advance(score, -1),
            when(greater(score, best), set(best, score), set(length, count)),
            goTo(bytes),
          ),
        ),
        giveBack(length),
      ];
    },
  ),
);

/** How many of the bytes that two matches claim the first one should have: `divide(fresh, first, second, length)`. */
export const divideProgram = compiledOnce(() =>
  compileFunction(
    { parameters: ["fresh", "first", "second", "length"], variables: ["count", "score", "best", "share"] },
    ({ fresh, first, second, length, count, score, best, share }) => {
      const bytes: Label = { name: "bytes" };
      return [
        set(score, NO_SCORE),
        set(best, NO_SCORE),
        loop(
          bytes,
          when(
            less(count, length),
            when(equal(load8(add(fresh, count)), load8(add(first, count))), advance(score, 1)),
            when(equal(load8(add(fresh, count)), load8(add(second, count))), advance(score, -1)),
            advance(count, 1),
            when(greater(score, best), set(best, score), set(share, count)),
            goTo(bytes),
          ),
        ),
        giveBack(share),
      ];
    },
  ),
);

/** Puts differences in the place of the new bytes: `subtract(fresh, old, length)`. */
export const subtractProgram = compiledOnce(() =>
  compileFunction({ parameters: ["fresh", "old", "length"], variables: [] }, ({ fresh, old, length }) => {
    const lanes: Label = { name: "lanes" };
    const bytes: Label = { name: "bytes" };
    return [
      loop(
        lanes,
        when(
          atLeast(length, 16),
          store128(fresh, bytesSub(load128(fresh), load128(old))),
          advance(fresh, 16),
          advance(old, 16),
          advance(length, -16),
          goTo(lanes),
        ),
      ),
      loop(
        bytes,
        when(
          greater(length, 0),
          store8(fresh, sub(load8(fresh), load8(old))),
          advance(fresh, 1),
          advance(old, 1),
          advance(length, -1),
          goTo(bytes),
        ),
      ),
    ];
  }),
);

/** Where the first run of at least so many zeros begins: `findZeros(at, end, least)` gives its address, or `end`. */
export const findZerosProgram = compiledOnce(() =>
  compileFunction({ parameters: ["at", "end", "least"], variables: ["start"] }, ({ at, end, least, start }) => {
    const runs: Label = { name: "runs" };
    const others: Label = { name: "others" };
    const zeros: Label = { name: "zeros" };
    return [
      loop(
        runs,
        loop(others, when(less(at, end), when(load8(at), advance(at, 1), goTo(others)))),
        set(start, at),
        loop(
          zeros,
          when(less(at, end), when(isZero(load8(at)), advance(at, 1), goToIf(zeros, less(sub(at, start), least)))),
        ),
        when(atLeast(sub(at, start), least), giveBack(start)),
        goToIf(runs, less(at, end)),
      ),
      giveBack(end),
    ];
  }),
);

/** Where zeros end: `skipZeros(at, end)` gives the address of the first other byte, or `end`. */
export const skipZerosProgram = compiledOnce(() =>
  compileFunction({ parameters: ["at", "end"], variables: ["next"] }, ({ at, end, next }) => {
    const words: Label = { name: "words" };
    const bytes: Label = { name: "bytes" };
    return [
      loop(words, when(atLeast(end, tee(next, add(at, 8))), when(wideIsZero(load64(at)), set(at, next), goTo(words)))),
      loop(bytes, when(less(at, end), when(isZero(load8(at)), advance(at, 1), goTo(bytes)))),
      giveBack(at),
    ];
  }),
);
