// What was deleted a moment ago and comes back together when that is undone. One page, one person, one list.
import type { Workspace } from '../../api/types';

let recent: readonly Workspace[] = [];
let forget: ReturnType<typeof setTimeout> | undefined;

/** Adds one more, and returns all that were deleted with no pause longer than so many ms between them. */
export function alsoRemoved(workspace: Workspace, pause: number): readonly Workspace[] {
  recent = [...recent, workspace];
  clearTimeout(forget);
  forget = setTimeout(forgetRemoved, pause);
  return recent;
}

/** Begins anew: they are back, or something else was done since. */
export function forgetRemoved(): void {
  recent = [];
}
