import { createContext, useContext } from 'react';
import type { Person } from '../api/types';

interface Whose {
  /** Who uses the page. */
  me: Person;
  /** Whose workspaces it shows and changes: one's own, or in a lab those of anybody for whom one may act. */
  owner: Person;
}

export const WhoseContext = createContext<Whose>({ me: { id: '', name: '' }, owner: { id: '', name: '' } });

export function useWhose(): Whose {
  return useContext(WhoseContext);
}

/** Id of whose workspaces the page shows. */
export function useUser(): string {
  return useWhose().owner.id;
}
