import { useQueries } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { useClient } from '../api/context';
import { useHost } from './useHost';

/** What people call users: in an ML Lab an id says nothing to anybody. Until a name is known, and where there is none, the id. */
export function useNames(ids: readonly string[]): (id: string) => string {
  const client = useClient();
  const inLab = useHost()?.in_lab === true;
  const asked = inLab ? [...new Set(ids)] : [];
  const found = useQueries({ queries: asked.map((id) => ({ ...queries.person(client, id), retry: false })) });
  const names = new Map(found.flatMap(({ data }) => (data === undefined ? [] : [[data.id, data.name] as const])));
  return (id) => names.get(id) ?? id;
}
