/**
 * Instructions of WebAssembly (core specification 2.0, §5.4), as expressions that read like a program: what no engine of Node does, and what
 * JavaScript does too slowly, is written with them. Only what this program needs is here. Loads and stores are little-endian and need no
 * alignment; one outside the memory ends the call with an exception, so a mistake harms nobody else's bytes.
 */

/** A variable of a function. */
export interface Local {
  readonly local: number;
  /** Whether it holds 64 bits; else 32. */
  readonly wide: boolean;
}

/** What branches go to: behind a block, or to the start of a loop. Each is used for one block or loop. */
export interface Label {
  readonly name: string;
}

export type Instruction =
  | { readonly kind: "bytes"; readonly bytes: readonly number[] }
  | { readonly kind: "nest"; readonly opcode: number; readonly label: Label | undefined; readonly body: Code }
  | { readonly kind: "branch"; readonly opcode: number; readonly to: Label };

/** Instructions in a row. */
export type Code = readonly Instruction[];

/** A constant of 32 bits, the value of a variable, or what instructions leave. */
export type Value = number | Local | Code;

/** Instructions that leave a value. */
type Binary = (left: Value, right: Value) => Code;

const VOID = 0x40;

const binary =
  (...opcode: number[]): Binary =>
  (left, right) => [...push(left), ...push(right), bytes(...opcode)];
const unary =
  (...opcode: number[]) =>
  (value: Value): Code => [...push(value), bytes(...opcode)];
/** @param offset added to the address, without wrapping */
const load =
  (...opcode: number[]) =>
  (address: Value, offset = 0): Code => [...push(address), bytes(...opcode, 0, ...unsignedLeb(offset))];
const store =
  (...opcode: number[]) =>
  (address: Value, value: Value, offset = 0): Code => [
    ...push(address),
    ...push(value),
    bytes(...opcode, 0, ...unsignedLeb(offset)),
  ];

// 32 bits, unsigned where that matters
export const add = binary(0x6a);
export const sub = binary(0x6b);
export const multiply = binary(0x6c);
export const xor = binary(0x73);
export const rotateLeft = binary(0x77);
export const and = binary(0x71);
export const or = binary(0x72);
export const shiftLeft = binary(0x74);
export const shiftRight = binary(0x76);
export const equal = binary(0x46);
export const less = binary(0x49);
export const greater = binary(0x4b);
export const atMost = binary(0x4d);
export const atLeast = binary(0x4f);
export const isZero = unary(0x45);
// 64 bits
export const wideAdd = binary(0x7c);
export const wideRotateRight = binary(0x8a);
export const wideEqual = binary(0x51);
/** 32 bits with a sign as 64. */
export const widen = unary(0xac);
export const wideXor = binary(0x85);
export const wideMultiply = binary(0x7e);
export const wideShiftLeft = binary(0x86);
export const wideShiftRight = binary(0x88);
export const wideTrailingZeros = unary(0x7a);
export const wideIsZero = unary(0x50);
/** The lower 32 of 64 bits. */
export const narrow = unary(0xa7);
// memory
export const load8 = load(0x2d);
export const load16 = load(0x2f);
export const load32 = load(0x28);
export const load64 = load(0x29);
export const load128 = load(0xfd, 0x00);
export const store8 = store(0x3a);
export const store16 = store(0x3b);
export const store32 = store(0x36);
export const store64 = store(0x37);
export const store128 = store(0xfd, 0x0b);
// four times 32 bits
export const spreadOut = unary(0xfd, 0x11);
export const lanesEqual = binary(0xfd, 0x37);
export const lanesShiftRight = binary(0xfd, 0xad, 0x01);
// sixteen times 8 bits
export const bytesSub = binary(0xfd, 0x71);
/** Whether any bit of 128 is set. */
export const anyBit = unary(0xfd, 0x53);

export function wide(value: bigint): Code {
  return [bytes(0x42, ...signedLeb(value))];
}

export function set(local: Local, value: Value): Code {
  return [...push(value), bytes(0x21, ...unsignedLeb(local.local))];
}

/** Sets the variable and leaves its value. */
export function tee(local: Local, value: Value): Code {
  return [...push(value), bytes(0x22, ...unsignedLeb(local.local))];
}

/** Adds to a variable of 32 bits. */
export function advance(local: Local, by: Value): Code {
  return set(local, add(local, by));
}

export function choose(condition: Value, then: Value, otherwise: Value): Code {
  return [...push(then), ...push(otherwise), ...push(condition), bytes(0x1b)];
}

/** A branch to the label goes behind the body. */
export function block(label: Label, ...body: readonly Code[]): Code {
  return [{ kind: "nest", opcode: 0x02, label, body: body.flat() }];
}

/** A branch to the label goes to its start; without one it ends. */
export function loop(label: Label, ...body: readonly Code[]): Code {
  return [{ kind: "nest", opcode: 0x03, label, body: body.flat() }];
}

export function when(condition: Value, ...body: readonly Code[]): Code {
  return [...push(condition), { kind: "nest", opcode: 0x04, label: undefined, body: body.flat() }];
}

export function goTo(to: Label): Code {
  return [{ kind: "branch", opcode: 0x0c, to }];
}

export function goToIf(to: Label, condition: Value): Code {
  return [...push(condition), { kind: "branch", opcode: 0x0d, to }];
}

export function giveBack(value: Value): Code {
  return [...push(value), bytes(0x0f)];
}

/** @throws Error where a branch leaves for a label that is not around it */
export function encode(code: Code, around: readonly (Label | undefined)[] = []): number[] {
  return code.flatMap((instruction) => {
    switch (instruction.kind) {
      case "bytes":
        return instruction.bytes;
      case "branch": {
        const depth = around.indexOf(instruction.to);
        if (depth < 0) throw new Error(`no block is called ${instruction.to.name}`);
        return [instruction.opcode, ...unsignedLeb(depth)];
      }
      case "nest":
        return [instruction.opcode, VOID, ...encode(instruction.body, [instruction.label, ...around]), 0x0b];
    }
  });
}

function push(value: Value): Code {
  if (typeof value === "number") return [bytes(0x41, ...signedLeb(BigInt(value | 0)))];
  return "local" in value ? [bytes(0x20, ...unsignedLeb(value.local))] : value;
}

function bytes(...of: readonly number[]): Instruction {
  return { kind: "bytes", bytes: of };
}

export function unsignedLeb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsignedLeb(value >>> 7)];
}

function signedLeb(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  const rest = value >> 7n;
  const isLast = rest === (low & 0x40 ? -1n : 0n);
  return isLast ? [low] : [low | 0x80, ...signedLeb(rest)];
}
