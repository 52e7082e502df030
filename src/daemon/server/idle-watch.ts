/** Waits until nothing is under way, for so long and no longer. */
export interface IdleWatch {
  tell(): void;
  /** Settles at the next {@link tell}, or when the time is over. */
  within(milliseconds: number): Promise<void>;
}

export function idleWatch(): IdleWatch {
  let waiting: (() => void) | undefined;
  return {
    tell: () => waiting?.(),
    within(milliseconds) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, milliseconds);
      waiting = () => {
        clearTimeout(timer);
        resolve();
      };
      return promise;
    },
  };
}
