/**
 * Runs work on the same thing one after the other: when all that came before it for this key is over, well or not.
 *
 * @param last What came last, by key; kept by whoever shares it.
 */
export async function inTurn<T>(last: Map<string, Promise<unknown>>, key: string, work: () => Promise<T>): Promise<T> {
  const before = last.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  last.set(key, mine);
  try {
    return await mine;
  } finally {
    if (last.get(key) === mine) last.delete(key);
  }
}
