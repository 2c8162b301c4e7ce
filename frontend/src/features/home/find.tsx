// What is typed into the find field of the bar, which the list below is filtered by.
import { createContext, useContext, useState, type ReactNode } from 'react';
import type { Workspace } from '../../api/types';
import { lookOf } from '../../model/state';

interface Find {
  text: string;
  setText: (text: string) => void;
}

const FindContext = createContext<Find>({ text: '', setText: () => undefined });

export function FindProvider({ children }: { children: ReactNode }) {
  const [text, setText] = useState('');
  return <FindContext value={{ text, setText }}>{children}</FindContext>;
}

export function useFind(): Find {
  return useContext(FindContext);
}

/** Every word must occur somewhere in name, image or state. */
export function matches(workspace: Workspace, text: string): boolean {
  const hay = `${workspace.display_name} ${workspace.image_name} ${workspace.container_image} ${lookOf(workspace).word}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}
