/**
 * Gives a buffer's memory back at once. V8 lets tens of MiB of dead buffers pile up in each thread before it collects them,
 * which streams of gigabytes would turn into most of the process's memory.
 */
export function releaseBuffer(bytes: Uint8Array): void {
  // A view of a part shares its buffer with others; a buffer that was transferred away is empty already.
  if (bytes.byteLength === bytes.buffer.byteLength) free(bytes);
}

/** The pool is a little larger than it says. */
const SMALL = Buffer.poolSize * 2;

/**
 * The same for views that are used up in the order in which they lie in a buffer of their own: the last one gives it back.
 * Small ones may lie in Node's pool, which is nobody's own, and are not worth it.
 */
export function releaseUpTo(bytes: Uint8Array): void {
  const { byteLength } = bytes.buffer;
  if (byteLength > SMALL && bytes.byteOffset + bytes.byteLength === byteLength) free(bytes);
}

/** The same for a view of a part of a buffer that is nobody else's. */
export function releaseOwn(bytes: Uint8Array): void {
  if (bytes.buffer.byteLength > SMALL) free(bytes);
}

function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) buffer.transfer(0);
}
