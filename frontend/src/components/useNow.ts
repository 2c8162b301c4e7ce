import { useSyncExternalStore } from 'react';

// One timer for every relative time on the page, and none while nobody looks.
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
const tick = 1_000;

function notify(): void {
  if (!document.hidden) for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(notify, tick);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time in milliseconds, in steps: what uses it renders once a step. */
export function useNow(step: number = 15_000): number {
  return useSyncExternalStore(subscribe, () => Math.ceil(Date.now() / step) * step);
}
