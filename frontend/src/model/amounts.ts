// What is used, held and allowed of a resource, as one bar and its words.
import type { Amount, Quota, QuotaLine, Storage, Use, Workspace } from '../api/types';
import { formatCpus, formatMB, formatNumber, gigabytes } from './format';

/** From here on a bar turns amber. */
export const nearlyFull = 0.8;

export interface Bar {
  /** "3.1" */
  value: string;
  /** "of 8 GB": with the unit, once. */
  rest: string;
  /** "4 held", or "held by limits" where that is all there is to say; empty when limits hold nothing. */
  held: string;
  /** Parts of the whole, 0 to 1 and more; undefined when nobody knows. */
  usedShare: number | undefined;
  heldShare: number | undefined;
  warn: boolean;
  /** The same as a sentence, which says what the numbers mean. */
  sentence: string;
}

/** A number of what an amount is counted in, without its unit. */
function bare(value: number, unit: string, inGigabytes: boolean): string {
  if (unit !== 'MB') return formatNumber(value);
  if (!inGigabytes) return formatNumber(Math.round(value));
  return value > 0 && value < 100 ? '< 0.1' : gigabytes(value);
}

/** Hundredths of a CPU that are measured only flicker; those of a limit were asked for. */
function measured(value: number, unit: string): number {
  return unit === 'CPUs' ? Math.round(value * 10) / 10 : value;
}

/** "8 GB", "4 CPUs", "2". */
export function withUnit(value: number, unit: string): string {
  if (unit === 'MB') return formatMB(value);
  if (unit === 'CPUs') return formatCpus(value);
  return formatNumber(value);
}

/** "0.3 of 4 GB", "312 of 512 MB", "1.4 of 2": the unit once, that of the whole. */
export function usedOf(used: number, whole: number, unit: string): { value: string; rest: string } {
  return { value: bare(measured(used, unit), unit, whole >= 1000), rest: `of ${unit === 'MB' ? formatMB(whole) : formatNumber(whole)}` };
}

/** The bar of one resource. Where there is no quota its whole is what the machine has. */
export function barOf(what: string, amount: Amount, usedNow: number | null = amount.used): Bar {
  const used = usedNow === null ? null : measured(usedNow, amount.unit);
  const whole = amount.quota ?? amount.total;
  const { reserved, unit } = amount;
  const shown = used ?? reserved;
  const inGigabytes = Math.max(whole ?? 0, shown, reserved) >= 1000;
  const said = (value: number): string => (unit === 'MB' ? `${bare(value, unit, inGigabytes)} ${inGigabytes ? 'GB' : 'MB'}` : withUnit(value, unit));
  const share = (value: number): number | undefined => (whole === null ? undefined : whole > 0 ? value / whole : value > 0 ? 1 : 0);
  const usedShare = used === null ? undefined : share(used);
  const heldShare = share(reserved);
  const whose = amount.quota !== null ? `of your quota of ${said(amount.quota)}` : whole !== null ? `of the ${said(whole)} of this machine` : '';
  const parts = [used === null ? '' : `${said(used)} used`, `${said(reserved)} held by limits`].filter((part) => part !== '');
  return {
    value: bare(shown, unit, inGigabytes),
    rest: whole !== null ? `of ${said(whole)}` : unit === 'MB' ? (inGigabytes ? 'GB' : 'MB') : '',
    held: reserved === 0 ? '' : used !== null ? `${bare(reserved, unit, inGigabytes)} held` : whole === null ? 'held by limits' : '',
    usedShare,
    heldShare,
    // Everything of a quota may be held; of a machine that others use, too, only what is used is near its end.
    warn: (usedShare ?? 0) >= nearlyFull || (heldShare ?? 0) > 1 || (amount.quota !== null && (heldShare ?? 0) >= nearlyFull),
    sentence: `${what}: ${parts.join(', ')}${whose === '' ? '' : `, ${whose}`}.`,
  };
}

/** What everything that runs uses now; null as long as nobody has looked. */
export function totalUse(uses: readonly Use[] | undefined): { cpus: number; memory: number } | null {
  if (uses === undefined) return null;
  return uses.reduce((sum, use) => ({ cpus: sum.cpus + (use.cpus ?? 0), memory: sum.memory + use.memory }), { cpus: 0, memory: 0 });
}

/** A machine without GPUs shows none, unless a quota speaks of them. */
export function showsGpus(quota: Quota, gpusOfHost: number): boolean {
  return gpusOfHost > 0 || (quota.gpus.quota ?? 0) > 0 || quota.gpus.reserved > 0;
}

export interface DiskUse {
  used: number;
  size: number;
  measuredAt: string;
  acts: string;
  what: 'files' | 'container';
}

/** What is fuller of a workspace: its files, or what else is written in its container. undefined = nothing was measured. */
export function diskOf(storage: Storage): DiskUse | undefined {
  const files: DiskUse | undefined =
    storage.volume_used === null || storage.volume_measured_at === null
      ? undefined
      : { used: storage.volume_used, size: storage.volume_size, measuredAt: storage.volume_measured_at, acts: storage.volume_acts, what: 'files' };
  const container: DiskUse | undefined =
    storage.container_used === null || storage.container_measured_at === null
      ? undefined
      : { used: storage.container_used, size: storage.container_size, measuredAt: storage.container_measured_at, acts: storage.container_acts, what: 'container' };
  if (files === undefined || container === undefined) return files ?? container;
  // The files are what people ask about; the container only when it is the one that will be stopped for.
  return shareOfDisk(container) >= nearlyFull && shareOfDisk(container) > shareOfDisk(files) ? container : files;
}

export function shareOfDisk(disk: Pick<DiskUse, 'used' | 'size'>): number {
  return disk.size > 0 ? disk.used / disk.size : 0;
}

const resources: Record<QuotaLine['resource'], string> = { workspaces: 'Workspaces', running: 'Running', cpus: 'CPU', memory: 'Memory', storage: 'Storage', gpus: 'GPUs' };

export function nameOfResource(resource: QuotaLine['resource']): string {
  return resources[resource];
}

/** A bound of the machine or of a group as a bar. */
export function barOfLine(line: QuotaLine): Bar {
  return barOf(nameOfResource(line.resource), { used: null, reserved: line.taken, quota: null, total: line.bound, unit: line.unit });
}

/** "GPU 0", "2 GPUs": the numbers of devices where they have some; an id as long as a line tells nobody anything. */
export function gpusText({ compute, gpu_ids: ids }: Pick<Workspace, 'compute' | 'gpu_ids'>): string {
  if (ids.length > 0 && ids.every((id) => id.length <= 3)) return `GPU ${ids.join(', ')}`;
  return `${formatNumber(compute.gpus)} ${compute.gpus === 1 ? 'GPU' : 'GPUs'}`;
}
