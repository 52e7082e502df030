/**
 * The compression of BLAKE2b (RFC 7693 §3.2) as a program, its twelve rounds written out: 64 bits are what JavaScript's numbers lack, and there
 * a block takes six times as long.
 */
import {
  advance,
  goTo,
  less,
  load64,
  loop,
  set,
  store64,
  sub,
  wide,
  wideAdd,
  widen,
  wideRotateRight,
  wideXor,
  when,
  type Code,
  type Label,
  type Local,
} from "../wasm/instructions.ts";
import { compileFunction, type CompiledModule } from "../wasm/module.ts";

export const BLAKE2B_BLOCK_BYTES = 128;
const WORD = 8;
/** Of the count of bytes, behind the eight words of the state. */
const COUNTER = 8 * WORD;

/** The first 64 bits of the fractional parts of the square roots of the first eight primes. */
const INITIAL = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
] as const;

const ORDERS = [
  "0123456789abcdef",
  "ea489fd61c02b753",
  "b8c052fdae367194",
  "7931dcbe265a40f8",
  "905724afe1bc683d",
  "2c6a0b834d75fe19",
  "c51fed4a0763928b",
  "db7ec13950f4862a",
  "6fe9b308c2d714a5",
  "a2847615fb9e3cd0",
].map((row) => Array.from(row, (digit) => Number.parseInt(digit, 16)));

const ROUNDS = 12;
/** Columns, then diagonals. */
const MIXES = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

/** Before the first byte: 32 bytes of sum, no key; and a count of zero. */
export const BLAKE2B_STATE = new Uint8Array(COUNTER + WORD);
for (const [word, value] of INITIAL.entries()) {
  const parameters = word === 0 ? 0x0101_0020n : 0n;
  new DataView(BLAKE2B_STATE.buffer).setBigUint64(word * WORD, value ^ parameters, true);
}

const WORDS = "v0 v1 v2 v3 v4 v5 v6 v7 v8 v9 v10 v11 v12 v13 v14 v15".split(" ");

let compiled: CompiledModule | undefined;

/**
 * A function of `from`, `to`, `counted`, `isLast`: takes in the blocks between the two addresses, of which each counts as `counted` bytes. The
 * state is at address 0.
 */
export function blake2b(): CompiledModule {
  return (compiled ??= compileFunction(
    { parameters: ["from", "to", "counted", "isLast"], variables: [], wide: [...WORDS, "count"] },
    (locals: Readonly<Record<string, Local>>) => {
      const [from, to, count] = [locals["from"]!, locals["to"]!, locals["count"]!];
      const words = WORDS.map((name) => locals[name]!);
      const blocks: Label = { name: "blocks" };
      const compressOne = [
        set(count, wideAdd(load64(0, COUNTER), widen(locals["counted"]!))),
        store64(0, count, COUNTER),
        ...words.map((word, at) => set(word, at < 8 ? load64(0, at * WORD) : signed(INITIAL[at - 8]!))),
        set(words[12]!, wideXor(words[12]!, count)),
        // All ones for the last block, which is minus one.
        set(words[14]!, wideXor(words[14]!, widen(sub(0, locals["isLast"]!)))),
        ...Array.from({ length: ROUNDS }, (_, round) => mixAll(words, from, ORDERS[round % ORDERS.length]!)),
        ...words.slice(0, 8).map((word, at) => {
          return store64(0, wideXor(wideXor(load64(0, at * WORD), word), words[at + 8]!), at * WORD);
        }),
        advance(from, BLAKE2B_BLOCK_BYTES),
      ];
      return [loop(blocks, when(less(from, to), ...compressOne, goTo(blocks)))];
    },
  ));
}

function mixAll(words: readonly Local[], from: Local, order: readonly number[]): Code {
  return MIXES.flatMap(([a, b, c, d], at) => {
    const [x, y] = [order[2 * at]!, order[2 * at + 1]!].map((word) => load64(from, word * WORD));
    return mix([words[a]!, words[b]!, words[c]!, words[d]!], x!, y!);
  });
}

function mix([a, b, c, d]: readonly [a: Local, b: Local, c: Local, d: Local], x: Code, y: Code): Code {
  const turned = (one: Local, other: Local, by: bigint): Code => wideRotateRight(wideXor(one, other), wide(by));
  return [
    ...set(a, wideAdd(wideAdd(a, b), x)),
    ...set(d, turned(d, a, 32n)),
    ...set(c, wideAdd(c, d)),
    ...set(b, turned(b, c, 24n)),
    ...set(a, wideAdd(wideAdd(a, b), y)),
    ...set(d, turned(d, a, 16n)),
    ...set(c, wideAdd(c, d)),
    ...set(b, turned(b, c, 63n)),
  ];
}

function signed(value: bigint): Code {
  return wide(BigInt.asIntN(64, value));
}
