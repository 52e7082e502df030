/** Byte accounting by where the bytes came from; the same kinds in reports, progress events and `--json`. */
export interface ByteCounts {
  /** Body bytes received from registries. */
  network: number;
  /** Bytes taken from files that this machine holds. */
  local: number;
  /** Literal bytes of recipes. */
  data: number;
  /** Zeros that nobody had to send or store. */
  zero: number;
}

export function noBytes(): ByteCounts {
  return { network: 0, local: 0, data: 0, zero: 0 };
}

export function addBytes(sum: ByteCounts, more: Readonly<ByteCounts>): ByteCounts {
  sum.network += more.network;
  sum.local += more.local;
  sum.data += more.data;
  sum.zero += more.zero;
  return sum;
}
