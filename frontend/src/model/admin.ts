// What the administrator's page makes of what it is told.
import type { AdminUser, AuditEntry, Host, QuotaLine, Setting, Workspace } from '../api/types';
import { formatMB, formatNumber, gigabytes } from './format';

/** "2 of 3", "4 of 8 GB"; without a quota only what is taken. */
export function ofQuota(taken: number, quota: number, unit: 'MB' | '' = ''): string {
  if (quota === 0) return unit === 'MB' ? formatMB(taken) : formatNumber(taken);
  if (unit === '') return `${formatNumber(taken)} of ${formatNumber(quota)}`;
  return quota >= 1000 ? `${gigabytes(taken)} of ${formatMB(quota)}` : `${formatNumber(taken)} of ${formatMB(quota)}`;
}

/** Whether a user holds nearly all of something. */
export function isTight(taken: number, quota: number): boolean {
  return quota > 0 && taken / quota >= 0.8;
}

export function hasQuota(user: AdminUser): boolean {
  const { workspaces, running, cpus, memory, storage, gpus } = user.quota;
  return [workspaces, running, cpus, memory, storage, gpus].some((bound) => bound > 0);
}

/** Where the configuration sets no bound, the machine itself is one. */
export function hostLines(lines: readonly QuotaLine[], host: Host | undefined): QuotaLine[] {
  const machine: Partial<Record<QuotaLine['resource'], number>> = host === undefined || host.cpus === 0 ? {} : { cpus: host.cpus, memory: host.memory, gpus: host.gpus };
  return lines
    .map((line) => ({ ...line, bound: line.bound ?? machine[line.resource] ?? null }))
    .filter((line) => line.resource !== 'gpus' || (line.bound ?? 0) > 0 || line.taken > 0);
}

/** What somebody has set comes first; the rest as the file has it. */
export function sortedSettings(settings: readonly Setting[], filter: string, changed: readonly string[]): Setting[] {
  const words = filter.toLowerCase().split(/\s+/);
  const rank = (setting: Setting): number => (changed.includes(setting.key) ? 0 : setting.origin === 'default' ? 2 : 1);
  return settings
    .filter(({ key, value, origin }) => words.every((word) => `${key} ${value} ${origin}`.toLowerCase().includes(word)))
    .toSorted((a, b) => rank(a) - rank(b));
}

const did: Record<AuditEntry['action'], string> = {
  stop: 'stopped',
  resize: 'resized',
  create: 'created',
  update: 'changed',
  delete: 'deleted',
  start: 'started',
  restart: 'restarted',
  keep: 'kept',
  extend: 'kept running',
  open: 'opened',
  'delete-volume': 'deleted',
};

/** "stopped mining of bob". */
export function auditText(entry: AuditEntry, nameOf: (id: string) => string): string {
  const what = entry.action === 'delete-volume' ? 'kept files' : entry.workspace || 'a workspace';
  return `${did[entry.action]} ${what} of ${nameOf(entry.user)}`;
}

export function matchesAdmin(workspace: Workspace, owner: string, stateWord: string, text: string): boolean {
  const hay = `${workspace.owner} ${owner} ${workspace.display_name} ${workspace.image_name} ${stateWord}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}
