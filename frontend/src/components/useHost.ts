import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { useClient } from '../api/context';
import type { Host } from '../api/types';

/** The engine and its machine; undefined until they are known. */
export function useHost(): Host | undefined {
  const client = useClient();
  return useQuery(queries.host(client)).data;
}

/** Whether the engine can do something. What is not known is not offered. */
export function useCan(what: keyof Host['can']): boolean {
  return useHost()?.can[what] === true;
}
