// Where this program is an extension of an ML Lab: what its addresses say, and the words for what the lab does.
import type { Host, Limit, Workspace, WorkspaceUpdate } from '../api/types';

/** The lab's own page, from an address below which its proxy serves ours; undefined: it is not reached through a lab. */
export function labPageOf(address: string): string | undefined {
  const { origin, pathname } = new URL(address);
  const at = pathname.search(/\/projects\/[^/]+\/services\/[^/]+\/access\//i);
  return at < 0 ? undefined : `${origin}${pathname.slice(0, at)}/app`;
}

/** What workspaces run in, as people call it. */
export function engineName(host: Pick<Host, 'engine'> | undefined): string {
  return host?.engine === 'mllab' ? 'ML Lab' : 'Docker';
}

/** Use is noticed about every quarter of an hour there: below this many seconds, what is used may be stopped. */
export const shortestSureIdle = 20 * 60;

/** What is to say of an idle timeout that the engine itself watches over. */
export function idleWarning(seconds: number): string {
  if (seconds === 0) return '';
  const how = 'ML Lab stops it, and notices only visits through its pages, about every 15 minutes; what computes by itself does not count.';
  return seconds < shortestSureIdle ? `${how} Below 20 minutes it can be stopped while somebody works in it.` : how;
}

/** Whether sending a change restarts a workspace that runs: what it is made from always does, all else where nothing changes live. */
export function restartsAtOnce(workspace: Pick<Workspace, 'desired' | 'status'>, update: WorkspaceUpdate | undefined, can: Host['can']): boolean {
  const runs = workspace.desired === 'running' && workspace.status !== 'failed' && workspace.status !== 'succeeded';
  if (update === undefined || !runs) return false;
  if (update.container_image !== undefined || update.port !== undefined || update.profile !== undefined) return true;
  return !can.resize && (update.compute !== undefined || update.storage !== undefined || update.idle_timeout !== undefined);
}

/** When a change of a limit acts, in a word and in a sentence. */
export function whenOf(applies: Limit['applies'], resizes: boolean): { word: string; sentence: string } {
  if (applies === 'live') return { word: 'applies live', sentence: 'A change acts at once, without a restart.' };
  if (resizes) return { word: 'needs restart', sentence: 'A change acts from the next start on.' };
  return { word: 'restarts it', sentence: 'A change restarts the workspace at once, if it runs.' };
}
