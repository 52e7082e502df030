/** The four kinds of signatures (librsync §1), which differ in their two sums. */
export const WEAK_SUMS = ["rabinkarp", "rollsum"] as const;
export const STRONG_SUMS = ["blake2", "md4"] as const;

export type WeakName = (typeof WEAK_SUMS)[number];
export type StrongName = (typeof STRONG_SUMS)[number];

export interface SignatureKind {
  /** What is rolled over the new file to find blocks; the older `rollsum` is what librsync before 2.2 and its Go port know alone. */
  readonly weak: WeakName;
  /** What says that a block found is the right one. */
  readonly strong: StrongName;
}

/** Bytes of a whole strong sum. */
export const STRONG_BYTES: Readonly<Record<StrongName, number>> = { blake2: 32, md4: 16 };

const BASE_MAGIC = 0x7273_0136;
const MAGIC_OF_BLAKE2 = 1;
const MAGIC_OF_RABINKARP = 0x10;

export function magicOf({ weak, strong }: SignatureKind): number {
  return BASE_MAGIC + (strong === "blake2" ? MAGIC_OF_BLAKE2 : 0) + (weak === "rabinkarp" ? MAGIC_OF_RABINKARP : 0);
}

/** The kind that a signature's first word names, if it is one. */
export function kindOf(magic: number): SignatureKind | undefined {
  const kinds = WEAK_SUMS.flatMap((weak) => STRONG_SUMS.map((strong) => ({ weak, strong })));
  return kinds.find((kind) => magicOf(kind) === magic);
}
