import { createContext, useContext } from 'react';

/** Id of who uses the page. */
export const UserContext = createContext('');

export function useUser(): string {
  return useContext(UserContext);
}
