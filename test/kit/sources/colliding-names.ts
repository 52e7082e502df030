/** Names as somebody makes them who wants whoever looks them up to take very long. */

/** 2^levels names with the same FNV-1a sum, which is easily done: two that collide, behind them two more, and so on. */
export function collidingNames(levels: number): string[] {
  const step = (state: number, text: string): number => {
    let hash = state;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    return hash;
  };
  let state = 0x811c9dc5 | 0;
  let names = [""];
  for (let level = 0; level < levels; level++) {
    const seen = new Map<number, string>();
    for (let at = 0; ; at++) {
      const text = (Math.imul(at, 0x9e3779b1) >>> 0).toString(36) + (at % 36).toString(36);
      const next = step(state, text);
      const other = seen.get(next);
      seen.set(next, text);
      if (other === undefined) continue;
      names = names.flatMap((name) => [name + other, name + text]);
      state = next;
      break;
    }
  }
  return names;
}
