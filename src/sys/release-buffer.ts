/**
 * Gives a buffer's memory back at once. V8 lets tens of MiB of dead buffers pile up in each thread before it collects them,
 * which streams of gigabytes would turn into most of the process's memory.
 */
export function releaseBuffer(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // A view of a part shares its buffer with others; a buffer that was transferred away is empty already.
  if (buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength && bytes.byteLength > 0)
    buffer.transfer(0);
}
