/**
 * The inner loops of a direct comparison (librsync §6), in WebAssembly: JavaScript has neither 64 bits to hash and compare with, nor a way to look at
 * four slots at once. All of them work on one memory.
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
  narrow,
  or,
  set,
  shiftLeft,
  shiftRight,
  store32,
  sub,
  when,
  wideEqual,
  wideIsZero,
  wideTrailingZeros,
  wideXor,
  type Code,
  type Label,
  type Local,
} from "../../wasm/instructions.ts";
import { compileFunction, type CompiledModule } from "../../wasm/module.ts";
import {
  AHEAD,
  filterBit,
  filterWord,
  FOUND_BUCKET,
  FOUND_TAG,
  hashSeed,
  isRun,
  isTagged,
  loadSeed,
  NO_BUCKET,
  NOTE_SHIFT,
  NOTES,
  RUN_BUCKET,
  RUN_BYTE,
  RUN_ENTRY_BYTES,
  RUN_LENGTH,
  RUN_START,
  RUN_TAG,
  RUNS,
  SEED_BYTES,
  SEED_WIDES,
  TABLE_SHAPE,
} from "./seed-hash.ts";

/** One module each, compiled when it is first needed. */
function compiledOnce(compile: () => CompiledModule): () => CompiledModule {
  let compiled: CompiledModule | undefined;
  return () => (compiled ??= compile());
}

/**
 * Puts seeds into the table: `insert(at, end, number, spacing, ...shape)` takes those that lie whole between the addresses, the first of which has the
 * number. The first of equal seeds stays; runs of one byte are noted apart, for else all of them would be the first, shortest one.
 */
export const insertProgram = compiledOnce(() =>
  compileFunction(
    {
      parameters: ["at", "end", "number", "spacing", ...TABLE_SHAPE],
      variables: ["bucket", "tag", "entry", "mark"],
      wide: SEED_WIDES,
    },
    (locals) => {
      const { at, end, number, spacing, bucket, tag, mark, numberBits } = locals;
      const seeds: Label = { name: "seeds" };
      const done: Label = { name: "done" };
      const next: Label = { name: "next" };
      const putInto = (slot: number): Code =>
        when(
          isZero(load32(bucket, 4 * slot)),
          store32(bucket, or(shiftLeft(tag, numberBits), add(number, 1)), 4 * slot),
          set(mark, filterWord(locals, locals)),
          store32(mark, or(load32(mark), shiftLeft(1, filterBit(locals)))),
          goTo(next),
        );
      return [
        block(
          done,
          loop(
            seeds,
            goToIf(done, greater(add(at, SEED_BYTES), end)),
            block(
              next,
              loadSeed(at, locals),
              when(isRun(locals), noteRun(locals), goTo(next)),
              store32(0, 0, RUN_LENGTH),
              hashSeed(locals, locals),
              goToIf(next, isTagged(locals, locals)),
              ...[0, 1, 2, 3].map(putInto),
            ),
            advance(at, spacing),
            advance(number, 1),
            goTo(seeds),
          ),
        ),
      ];
    },
  ),
);

/** Counts on in the run of seeds at hand, or begins one, and notes it where it is the longest of its byte. */
function noteRun({ at, number, entry }: Readonly<Record<"at" | "number" | "entry", Local>>): Code {
  const length = load32(0, RUN_LENGTH);
  return [
    ...when(
      or(isZero(length), isZero(equal(load32(0, RUN_BYTE), load8(at)))),
      store32(0, load8(at), RUN_BYTE),
      store32(0, number, RUN_START),
      store32(0, 0, RUN_LENGTH),
    ),
    ...store32(0, add(length, 1), RUN_LENGTH),
    ...set(entry, shiftLeft(load8(at), 3)),
    ...when(
      greater(length, load32(entry, RUNS + 4)),
      store32(entry, load32(0, RUN_START), RUNS),
      store32(entry, length, RUNS + 4),
    ),
  ];
}

/**
 * Looks for a seed that the table may have: `scan(at, last, ...shape)` gives the address of the first, between the addresses inclusive, or one behind
 * `last`. What was found is told at {@link FOUND_BUCKET} and {@link FOUND_TAG}. First some seeds are hashed, and those noted that the filter lets pass,
 * without a branch; then their buckets are looked at. Nearly each look waits for memory, and the processor has the more of them under way the less there
 * is between them.
 */
export const scanProgram = compiledOnce(() =>
  compileFunction(
    {
      parameters: ["at", "last", ...TABLE_SHAPE],
      variables: ["bucket", "tag", "end", "ahead", "note", "noted", "mark"],
      wide: SEED_WIDES,
    },
    (locals) => {
      const { at, last, bucket, tag, end, ahead, note, noted, mark } = locals;
      const batches: Label = { name: "batches" };
      const done: Label = { name: "done" };
      const hashes: Label = { name: "hashes" };
      const looked: Label = { name: "looked" };
      const looks: Label = { name: "looks" };
      const longestRun = load32(shiftLeft(load8(ahead), 3), RUNS + 4);
      return [
        block(
          done,
          loop(
            batches,
            goToIf(done, greater(at, last)),
            set(end, add(at, AHEAD)),
            when(greater(end, last), set(end, add(last, 1))),
            set(ahead, at),
            set(noted, NOTES),
            loop(
              hashes,
              loadSeed(ahead, locals),
              hashSeed(locals, locals),
              set(mark, load32(filterWord(locals, locals))),
              when(
                isRun(locals),
                set(bucket, choose(longestRun, RUN_BUCKET, NO_BUCKET)),
                set(tag, RUN_TAG),
                set(mark, choose(longestRun, -1, 0)),
              ),
              store32(noted, bucket),
              store32(noted, tag, 4),
              store32(noted, ahead, 8),
              advance(noted, shiftLeft(and(shiftRight(mark, filterBit(locals)), 1), NOTE_SHIFT)),
              advance(ahead, 1),
              goToIf(hashes, less(ahead, end)),
            ),
            set(note, NOTES),
            block(
              looked,
              loop(
                looks,
                goToIf(looked, atLeast(note, noted)),
                set(bucket, load32(note)),
                set(tag, load32(note, 4)),
                when(
                  isTagged(locals, locals),
                  store32(0, bucket, FOUND_BUCKET),
                  store32(0, tag, FOUND_TAG),
                  giveBack(load32(note, 8)),
                ),
                advance(note, 2 ** NOTE_SHIFT),
                goTo(looks),
              ),
            ),
            set(at, end),
            goTo(batches),
          ),
        ),
        giveBack(at),
      ];
    },
  ),
);

/** How many bytes are the same from both addresses on: `forwards(one, other, most)`. */
export const forwardsProgram = compiledOnce(() =>
  compileFunction(
    { parameters: ["one", "other", "most"], variables: ["count"], wide: ["difference"] },
    ({ one, other, most, count, difference }) => {
      const words: Label = { name: "words" };
      const bytes: Label = { name: "bytes" };
      const at = (address: Local): Code => add(address, count);
      return [
        loop(
          words,
          when(
            atLeast(most, add(count, 8)),
            set(difference, wideXor(load64(at(one)), load64(at(other)))),
            when(wideIsZero(difference), advance(count, 8), goTo(words)),
            giveBack(add(count, shiftRight(narrow(wideTrailingZeros(difference)), 3))),
          ),
        ),
        loop(
          bytes,
          when(greater(most, count), when(equal(load8(at(one)), load8(at(other))), advance(count, 1), goTo(bytes))),
        ),
        giveBack(count),
      ];
    },
  ),
);

/** How many bytes are the same before both addresses: `backwards(one, other, most)`. */
export const backwardsProgram = compiledOnce(() =>
  compileFunction({ parameters: ["one", "other", "most"], variables: ["count"] }, ({ one, other, most, count }) => {
    const bytes: Label = { name: "bytes" };
    const before = (address: Local): Code => load8(sub(sub(address, count), 1));
    return [
      loop(bytes, when(greater(most, count), when(equal(before(one), before(other)), advance(count, 1), goTo(bytes)))),
      giveBack(count),
    ];
  }),
);

/** After how many bytes eight are the same again, 1 to `most`: `realign(one, other, most)`; 0 for none. */
export const realignProgram = compiledOnce(() =>
  compileFunction({ parameters: ["one", "other", "most"], variables: ["skip"] }, ({ one, other, most, skip }) => {
    const skips: Label = { name: "skips" };
    const at = (address: Local): Code => load64(add(address, skip));
    return [
      loop(
        skips,
        advance(skip, 1),
        when(atLeast(most, skip), when(wideEqual(at(one), at(other)), giveBack(skip)), goTo(skips)),
      ),
    ];
  }),
);

/** Where in memory the entry of a byte's longest run is. */
export function runEntry(byte: number): number {
  return RUNS + RUN_ENTRY_BYTES * byte;
}
