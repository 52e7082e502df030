/** The compression of MD4 (RFC 1320 §3.4) as a program, its three rounds written out. */
import {
  add,
  advance,
  and,
  goTo,
  less,
  load32,
  loop,
  or,
  rotateLeft,
  set,
  store32,
  when,
  xor,
  type Code,
  type Label,
  type Local,
} from "../wasm/instructions.ts";
import { compileFunction, type CompiledModule } from "../wasm/module.ts";

export const MD4_BLOCK_BYTES = 64;
const WORD = 4;

/** Before the first byte. */
export const MD4_STATE = new Uint8Array(4 * WORD);
for (const [word, value] of [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476].entries()) {
  new DataView(MD4_STATE.buffer).setUint32(word * WORD, value, true);
}

interface Round {
  readonly order: readonly number[];
  readonly turns: readonly number[];
  readonly constant: number;
  readonly mix: (x: Local, y: Local, z: Local) => Code;
}

const ROUNDS: readonly Round[] = [
  {
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    turns: [3, 7, 11, 19],
    constant: 0,
    mix: (x, y, z) => xor(z, and(x, xor(y, z))),
  },
  {
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    turns: [3, 5, 9, 13],
    constant: 0x5a82_7999,
    mix: (x, y, z) => or(and(x, y), and(z, or(x, y))),
  },
  {
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    turns: [3, 9, 11, 15],
    constant: 0x6ed9_eba1,
    mix: (x, y, z) => xor(xor(x, y), z),
  },
];

let compiled: CompiledModule | undefined;

/** A function of `from` and `to`: takes in the blocks between the addresses. The state is at address 0. */
export function md4(): CompiledModule {
  return (compiled ??= compileFunction(
    { parameters: ["from", "to"], variables: ["a", "b", "c", "d"] },
    ({ from, to, a, b, c, d }) => {
      const blocks: Label = { name: "blocks" };
      const words = [a, b, c, d];
      const compressOne = [
        ...words.map((word, at) => set(word, load32(0, at * WORD))),
        ...ROUNDS.map((round) => roundOf(round, words, from)),
        ...words.map((word, at) => store32(0, add(load32(0, at * WORD), word), at * WORD)),
        advance(from, MD4_BLOCK_BYTES),
      ];
      return [loop(blocks, when(less(from, to), ...compressOne, goTo(blocks)))];
    },
  ));
}

function roundOf({ order, turns, constant, mix }: Round, words: readonly Local[], from: Local): Code {
  return order.flatMap((word, step) => {
    // Each step changes the word before the one that the last step changed.
    const [a, b, c, d] = [0, 1, 2, 3].map((at) => words[(at + 16 - step) % 4]!) as [Local, Local, Local, Local];
    const sum = add(add(add(a, mix(b, c, d)), load32(from, word * WORD)), constant);
    return set(a, rotateLeft(sum, turns[step % 4]!));
  });
}
