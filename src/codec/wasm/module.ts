/** A module of WebAssembly (core specification 2.0, §5.5) with one function over a memory that is given to it. */
import { encode, giveBack, unsignedLeb, type Code, type Local } from "./instructions.ts";

/** What of the JavaScript interface is used; the compiler knows it only together with a browser's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => CompiledModule;
  readonly Memory: new (limits: { initial: number; maximum: number }) => Memory;
  readonly Instance: new (
    module: CompiledModule,
    imports: Record<string, Record<string, Memory>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

declare const compiled: unique symbol;
export interface CompiledModule {
  readonly [compiled]: true;
}

export interface Memory {
  /** Detached when the memory grows. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

const I32 = 0x7f;
const I64 = 0x7e;
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const PAGE_BYTES = 65_536;
/** 64 MiB: as far as a memory grows that was not made larger. */
const MOST_PAGES = 1024;
/** 4 GiB, which is what addresses reach. */
const ALL_PAGES = 65_536;

export interface FunctionShape<Parameter extends string, Variable extends string, Wide extends string> {
  /** Of 32 bits each. */
  readonly parameters: readonly Parameter[];
  /** Of 32 bits, zero at first. */
  readonly variables: readonly Variable[];
  /** Of 64 bits, zero at first. */
  readonly wide?: readonly Wide[];
}

/** Takes and gives numbers of 32 bits. */
export type NumberFunction = (...parameters: readonly number[]) => number;

/**
 * @param program whose last expression need not give anything back: what comes to the end gives zero
 * @returns a module that is to be given to {@link instantiate}, as often as one likes
 */
export function compileFunction<P extends string, V extends string, W extends string = never>(
  shape: FunctionShape<P, V, W>,
  program: (locals: Readonly<Record<P | V | W, Local>>) => readonly Code[],
): CompiledModule {
  const { parameters, variables, wide = [] } = shape;
  const names = [...parameters, ...variables, ...wide];
  const firstWide = names.length - wide.length;
  const locals = Object.fromEntries(names.map((name, at) => [name, { local: at, wide: at >= firstWide }]));
  const code = [...program(locals as Record<P | V | W, Local>).flat(), ...giveBack(0)];
  const body = [
    ...vector([
      [...unsignedLeb(variables.length), I32],
      [...unsignedLeb(wide.length), I64],
    ]),
    ...encode(code),
    0x0b,
  ];
  const type = [0x60, ...vector(parameters.map(() => [I32])), ...vector([[I32]])];
  const memory = [...text("m"), ...text("m"), 0x02, 0x01, 0x01, ...unsignedLeb(ALL_PAGES)];
  const bytes = Uint8Array.from([
    ...HEADER,
    ...section(1, vector([type])),
    ...section(2, vector([memory])),
    ...section(3, vector([[0x00]])),
    ...section(7, vector([[...text("f"), 0x00, 0x00]])),
    ...section(10, vector([[...unsignedLeb(body.length), ...body]])),
  ]);
  return new WebAssembly.Module(bytes);
}

/** The function over the memory. */
export function instantiate(module: CompiledModule, memory: Memory): NumberFunction {
  return new WebAssembly.Instance(module, { m: { m: memory } }).exports["f"] as NumberFunction;
}

/** A memory of at least so many bytes, all zero. What is never touched takes no room. */
export function memoryOf(bytes: number): Memory {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: Math.max(pages, MOST_PAGES) });
}

/** Makes the memory at least so large; views of it are then to be made anew. */
export function growTo(memory: Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsignedLeb(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsignedLeb(items.length), ...items.flat()];
}

function text(of: string): number[] {
  return vector([...Buffer.from(of)].map((byte) => [byte]));
}
