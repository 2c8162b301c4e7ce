// What was deleted a moment ago and comes back together when that is undone. One page, one person, one list.
import type { Workspace } from '../../api/types';

let recent: Workspace[] = [];
let forget: ReturnType<typeof setTimeout> | undefined;

/** Remembers one more for so many ms, and returns how many there are. */
export function rememberRemoved(workspace: Workspace, duration: number): number {
  recent = [...recent, workspace];
  clearTimeout(forget);
  forget = setTimeout(takeRemoved, duration);
  return recent.length;
}

/** Returns what is remembered, and forgets it. */
export function takeRemoved(): Workspace[] {
  const taken = recent;
  recent = [];
  return taken;
}
