/** What comes out wrong, or is announced so, is tried once more: a proxy or a disk may have erred. Wrong twice is wrong. */
import { isVarveError, type VarveError } from "../errors/varve-error.ts";

/** @param onWrong told before the second try */
export async function secondTry<T>(get: () => Promise<T>, onWrong: (error: VarveError) => void): Promise<T> {
  try {
    return await get();
  } catch (error) {
    if (!isVarveError(error, "DIGEST_MISMATCH") && !isVarveError(error, "SIZE_MISMATCH")) throw error;
    onWrong(error);
    return get();
  }
}
