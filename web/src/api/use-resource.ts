/** What a view shows of the daemon: asked for when it is shown, and again when something changed; what is known stays while it is asked for. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { toTrouble, type Trouble } from "./daemon.ts";

export interface Resource<T> {
  readonly data: T | undefined;
  readonly error: Trouble | undefined;
  readonly isLoading: boolean;
  readonly reload: () => void;
}

/**
 * @param key what is asked for: what is known of another is not shown
 * @param revision changes when it is to be asked for again, and what is known may be shown until then
 * @param get is handed a signal that is aborted when nobody waits any more
 */
export function useResource<T>(key: string, revision: number, get: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: Trouble }>({ key });
  const [turn, setTurn] = useState(0);
  const [isLoading, setLoading] = useState(true);
  const latest = useRef(get);
  latest.current = get;
  useEffect(() => {
    const aborter = new AbortController();
    setLoading(true);
    const load = async (): Promise<void> => {
      const next = await latest.current(aborter.signal).then(
        (data) => ({ key, data }),
        (thrown: unknown) => ({ key, error: toTrouble(thrown) }),
      );
      if (aborter.signal.aborted) return;
      setLoading(false);
      setState((known) => ({ ...(known.key === key && known.data !== undefined && { data: known.data }), ...next }));
    };
    void load();
    return () => aborter.abort();
  }, [key, revision, turn]);
  const reload = useCallback(() => setTurn((turn) => turn + 1), []);
  const isOfKey = state.key === key;
  return {
    data: isOfKey ? state.data : undefined,
    error: isOfKey && !isLoading ? state.error : undefined,
    isLoading,
    reload,
  };
}
