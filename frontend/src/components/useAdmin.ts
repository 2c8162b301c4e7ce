import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { useClient } from '../api/context';

/** Whether the administrator's page is for who looks. */
export function useAdmin(): boolean {
  const client = useClient();
  return useQuery(queries.me(client)).data?.admin === true;
}
