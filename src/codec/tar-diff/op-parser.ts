/**
 * Reads the operations of a tar-diff (formats "tar-diff" §1, "Reader rules") as they stream by, however large they say that they are: bytes of Data
 * and AddData are lent in parts, and only paths are gathered. Where a source ends is not known here.
 */
import type { VarveError } from "../../errors/varve-error.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import { badTarDiff } from "./fault.ts";
import {
  FREE_IDLE,
  IDLE_PER_WORK,
  LONGEST_NUMBER,
  LONGEST_PATH,
  OP_ADD,
  OP_COPY,
  OP_DATA,
  OP_OPEN,
  OP_SEEK,
} from "./format.ts";
import { cleanMemberPath } from "./member-path.ts";

export type TarDiffOp = "data" | "open" | "copy" | "add" | "seek";

/** What the bytes that come next belong to. */
type Expected = "op" | "number" | "path" | "data" | "add";

/**
 * Give it a chunk, call `next` until it says that there is no more, and so on; then `end`. What `next` found stands in the parser's own fields,
 * because there may be millions of it.
 */
export class TarDiffParser {
  /** Of data and add: where the bytes, or some of them, are in the chunk. */
  from = 0;
  to = 0;
  /** Of copy: bytes, at least one. */
  length = 0;
  /** Of seek: where the source is to be read next. */
  position = 0;
  /** Of open: cleaned, never empty, as a surrogateescape string. */
  path = "";
  /** How many were begun. */
  operations = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #before = 0;
  #expected: Expected = "op";
  #op = 0;
  #number = 0;
  #scale = 1;
  #digits = 0;
  #left = 0;
  #path = Buffer.alloc(0);
  #isOpen = false;
  #idle = FREE_IDLE;

  /** What was read before belongs to the caller again. */
  give(chunk: Uint8Array): void {
    this.#before += this.#at;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** What the chunk says next; undefined when that is all. @throws VarveError `DELTA_INVALID` */
  next(): TarDiffOp | undefined {
    const chunk = this.#chunk;
    while (this.#at < chunk.length) {
      switch (this.#expected) {
        case "op":
          this.#beginOp(chunk[this.#at++]!);
          break;
        case "number": {
          const done = this.#digit(chunk[this.#at++]!) ? this.#beginContent() : undefined;
          if (done !== undefined) return done;
          break;
        }
        case "path":
          if (this.#gatherPath()) return "open";
          break;
        case "data":
        case "add":
          return this.#someBytes(this.#expected);
      }
    }
    return undefined;
  }

  /** @throws VarveError `DELTA_INVALID` when the delta has ended within an operation */
  end(): void {
    if (this.#expected !== "op") throw this.#bad("ends too early");
  }

  #beginOp(op: number): void {
    if (op > OP_SEEK) throw this.#bad(`has the operation ${op}, which has no meaning`);
    if (op >= OP_COPY && !this.#isOpen) throw this.#bad("reads a file before it says which");
    this.operations += 1;
    this.#op = op;
    this.#expected = "number";
    this.#number = 0;
    this.#scale = 1;
    this.#digits = 0;
  }

  /** Takes seven bits more, and says whether they were the last. */
  #digit(byte: number): boolean {
    this.#number += (byte & 0x7f) * this.#scale;
    this.#scale *= 128;
    this.#digits += 1;
    if (!Number.isSafeInteger(this.#number)) throw this.#bad("has a number that no file can have");
    if (byte < 0x80) return true;
    if (this.#digits === LONGEST_NUMBER) throw this.#bad("has a number without an end");
    return false;
  }

  /** The operation's number is read. Says what it was when nothing else belongs to it. */
  #beginContent(): "copy" | "seek" | undefined {
    const number = this.#number;
    this.#expected = "op";
    this.#account(number);
    switch (this.#op) {
      case OP_COPY:
        this.length = number;
        return number > 0 ? "copy" : undefined;
      case OP_SEEK:
        this.position = number;
        return "seek";
      case OP_OPEN:
        if (number === 0) throw this.#bad("has a path of no name");
        if (number > LONGEST_PATH) throw this.#bad(`has a path of ${number} bytes, and ${LONGEST_PATH} is the most`);
        this.#path = Buffer.allocUnsafe(number);
        this.#expected = "path";
        break;
      default:
        if (number > 0) this.#expected = this.#op === OP_DATA ? "data" : "add";
    }
    this.#left = number;
    return undefined;
  }

  /** See {@link FREE_IDLE}. */
  #account(number: number): void {
    const works = number > 0 && (this.#op === OP_DATA || this.#op === OP_COPY || this.#op === OP_ADD);
    this.#idle += works ? IDLE_PER_WORK : -1;
    if (this.#idle < 0) throw this.#bad("opens and seeks without end, and reads nothing");
  }

  #gatherPath(): boolean {
    const some = this.#chunk.subarray(this.#at, this.#at + this.#left);
    this.#path.set(some, this.#path.length - this.#left);
    this.#at += some.length;
    this.#left -= some.length;
    if (this.#left > 0) return false;
    this.#expected = "op";
    this.#isOpen = true;
    this.path = cleanMemberPath(decodeName(this.#path));
    if (this.path === "" || this.path.includes("\0")) throw this.#bad("has a path that no file can have");
    return true;
  }

  #someBytes(kind: "data" | "add"): "data" | "add" {
    this.from = this.#at;
    this.to = this.#at = Math.min(this.#chunk.length, this.from + this.#left);
    this.#left -= this.to - this.from;
    if (this.#left === 0) this.#expected = "op";
    return kind;
  }

  #bad(what: string): VarveError {
    return badTarDiff(what, this.#before + this.#at);
  }
}
