/** How long to wait before the given try, counted from 0: soon at first, then less and less often, never in step with others. */
export function backoff(tries: number, random: () => number = Math.random): number {
  const delay = Math.min(10_000, 250 * 2 ** tries);
  return delay * (0.75 + 0.5 * random());
}
