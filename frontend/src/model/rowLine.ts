// The one line below a state: of everything there would be to say, what is most urgent.
import type { Workspace } from '../api/types';
import { formatDuration, formatTime } from './format';

export interface RowLine {
  kind: 'grace' | 'idle' | 'full' | 'above' | 'kept' | 'restart' | 'gone' | 'update' | 'reason' | 'since';
  text: string;
  /** Something will be lost or stopped unless somebody acts. */
  warn: boolean;
  /** Whether its owner can ask for more time. */
  extend: boolean;
  /** What shows when the pointer rests on it. */
  title: string;
}

const minute = 60_000;
/** So close to its end, a countdown is more urgent than what is nearly full. */
const soon = 10 * minute;

/** The line of a running workspace. */
export function rowLine(workspace: Workspace, now: number): RowLine {
  const line = (kind: RowLine['kind'], text: string, more: Partial<RowLine> = {}): RowLine => ({ kind, text, warn: false, extend: false, title: '', ...more });
  const { grace_until: grace, storage } = workspace;
  if (grace !== null && Date.parse(grace) > now) {
    return line('grace', `full: stops at ${formatTime(grace)} unless you free space`, { warn: true, title: storage.warning });
  }
  const left = idleLeft(workspace, now);
  if (left !== undefined && left < soon) return countdown(workspace, left);
  if (storage.warning !== '') return line('full', storage.warning, { warn: true });
  if (left !== undefined) return countdown(workspace, left);
  if (workspace.above_limits.length > 0) {
    return line('above', `above ${workspace.above_limits.length === 1 ? 'its limit' : 'its limits'}: ${namesOf(workspace.above_limits)}; lowered at the next start`, {
      title: 'The limits were lowered after it had started.',
    });
  }
  const kept = workspace.idle?.kept_until ?? null;
  if (kept !== null && Date.parse(kept) > now) return line('kept', `kept until ${formatTime(kept)}`, { title: 'You asked to keep it until then, used or not.' });
  if (workspace.reason !== '') return line('reason', workspace.reason);
  if (workspace.pending_restart.length > 0) return line('restart', `changed, acts after a restart: ${namesOf(workspace.pending_restart)}`);
  if (workspace.image_gone !== '') return line('gone', 'image is gone', { title: workspace.image_gone });
  if (workspace.update_available !== '') return line('update', 'update available', { title: workspace.update_available });
  return line('since', '');
}

/** Milliseconds until it is stopped for being unused, from when that is worth a word; else undefined. */
export function idleLeft(workspace: Pick<Workspace, 'idle' | 'idle_timeout'>, now: number): number | undefined {
  const { idle } = workspace;
  if (idle === null || idle.in_use || idle.stops_at === null) return undefined;
  const left = Math.max(0, Date.parse(idle.stops_at) - now);
  return left < soon || left < (workspace.idle_timeout * 1000) / 2 ? left : undefined;
}

function countdown(workspace: Workspace, left: number): RowLine {
  const since = workspace.idle?.since ?? null;
  const when = left < minute ? 'stops in less than a minute' : `stops in ${formatDuration(left)}`;
  return {
    kind: 'idle',
    text: since === null ? when : `${when}, unused since ${formatTime(since)}`,
    warn: left < soon,
    extend: true,
    title: workspace.idle?.reason ?? '',
  };
}

const fieldNames: Record<string, string> = {
  cpus: 'CPU', memory: 'memory', shm: 'shared memory', processes: 'processes', gpus: 'GPUs', volume_size: 'files', container_size: 'container',
  idle_timeout: 'idle timeout', container_image: 'image', image: 'image', port: 'port', profile: 'kind of image',
};

/** Fields as people call them. */
export function namesOf(fields: readonly string[]): string {
  return fields.map((field) => fieldNames[field.split('.').at(-1) ?? ''] ?? field).join(', ');
}

/** Whether the manager or an administrator stopped it, so that the reason deserves room. */
export function wasStoppedForAReason(workspace: Pick<Workspace, 'status' | 'reason_code'>): boolean {
  return workspace.status === 'stopped' && ['idle', 'storage_full', 'over_quota', 'admin', 'removed'].includes(workspace.reason_code);
}

/** How a queued workspace stands: "position 3". */
export function queueText(workspace: Pick<Workspace, 'position'>): string {
  return workspace.position > 0 ? `position ${workspace.position}` : 'waits for its turn';
}

/** What stands in a row as a sentence of its own. */
export function sentenceOf(text: string): string {
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;
}
