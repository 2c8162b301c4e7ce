import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { errorOf, type ApiError } from '../api/client';
import { useClient } from '../api/context';
import type { Workspace } from '../api/types';

export type Found = { workspace: Workspace } | { missing: true } | { error: ApiError; retry: () => void } | { waiting: true };

/** One workspace of the list, as events keep it. */
export function useWorkspace(id: string): Found {
  const client = useClient();
  const list = useQuery(queries.workspaces(client));
  if (list.data === undefined) {
    return list.isError ? { error: errorOf(list.error), retry: () => void list.refetch() } : { waiting: true };
  }
  const workspace = list.data.find((one) => one.id === id);
  return workspace === undefined ? { missing: true } : { workspace };
}
