/** What befalls uploads: each trouble so often as it says, then no more. */
export interface UploadTroublesOptions {
  /** An upload that has come so far is gone, before the next request about it is looked at. */
  readonly lostAfterBytes?: number;
  /** How often. Default 1. */
  readonly losses?: number;
  /** Of the next requests with a body, one after the other: after how many bytes of it the connection breaks. */
  readonly cuts?: readonly number[];
}

export class UploadTroubles {
  readonly #options: UploadTroublesOptions;
  readonly #cuts: number[];
  #losses: number;

  constructor(options: UploadTroublesOptions) {
    this.#options = options;
    this.#cuts = [...(options.cuts ?? [])];
    this.#losses = options.lostAfterBytes === undefined ? 0 : (options.losses ?? 1);
  }

  /** Troubles that are still to come. */
  get left(): number {
    return this.#losses + this.#cuts.length;
  }

  /** Whether the upload with so many bytes is gone. */
  loses(size: number): boolean {
    if (this.#losses === 0 || size < (this.#options.lostAfterBytes ?? Infinity)) return false;
    this.#losses--;
    return true;
  }

  /** After how many bytes of the body that comes now the connection breaks. */
  nextCut(): number | undefined {
    return this.#cuts.shift();
  }
}
