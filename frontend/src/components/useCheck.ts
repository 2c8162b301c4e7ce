import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { errorOf, type ApiError } from '../api/client';
import { useClient } from '../api/context';
import type { Check, Quota } from '../api/types';
import { useDebounced } from './useDebounced';

export interface Checked {
  check: Check | undefined;
  /** What is wrong with the fields. */
  error: ApiError | undefined;
  /** Whether the answer is about what is there now, not about what was there a moment ago. */
  current: boolean;
}

/** Asks what would become of an input, each time it rests or the quota changes. Older questions are called off. undefined asks nothing. */
export function useCheck<T>(about: string, input: T | undefined, ask: (input: T, signal: AbortSignal) => Promise<Check>): Checked {
  const client = useClient();
  const { data: taken } = useQuery({ ...queries.quota(client), select: takenOf });
  const now = input === undefined ? '' : JSON.stringify(input);
  const asked = useDebounced(now);
  const { data, error, isPlaceholderData } = useQuery({
    queryKey: ['check', about, asked, taken],
    queryFn: ({ signal }) => ask(JSON.parse(asked) as T, signal),
    enabled: asked !== '',
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 5_000,
    gcTime: 10_000,
  });
  if (now === '') return { check: undefined, error: undefined, current: false };
  return { check: error === null ? data : undefined, error: error === null ? undefined : errorOf(error), current: asked === now && !isPlaceholderData };
}

/** What an answer depends on; what is used at the moment is not part of it. */
function takenOf(quota: Quota): string {
  return JSON.stringify([quota.waiting, quota.lines]);
}
