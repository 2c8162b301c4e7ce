// What the create page fills in, so that Enter creates.
import type { Limit, Limits } from '../api/types';
import { formatCpus, formatMB } from './format';

/** A name nobody has yet, close to the one wished for: "thesis", then "thesis-2". */
export function proposeName(wish: string, taken: readonly string[]): string {
  const used = new Set(taken.map((name) => name.trim().toLowerCase()));
  const base = wish.trim() === '' ? 'workspace' : wish.trim();
  if (!used.has(base.toLowerCase())) return base;
  const stem = base.replace(/-\d+$/, '');
  for (let number = 2; ; number += 1) {
    const name = `${stem}-${number}`;
    if (!used.has(name.toLowerCase())) return name;
  }
}

/** The name of an image as the start of a workspace's name: "VS Code" gives "vs-code". */
export function nameForImage(imageName: string): string {
  const last = imageName.split('/').at(-1)?.split(/[:@]/)[0] ?? '';
  return last.trim().toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60);
}

export interface Size {
  word: string;
  cpus: number;
  memory: number;
}

export function labelOfSize(size: Size): string {
  return `${size.word} · ${formatCpus(size.cpus)} · ${formatMB(size.memory)}`;
}

/** Sizes around the default one, all of them allowed. The default is among them. */
export function sizesFrom(limits: Pick<Limits, 'cpus' | 'memory'>): Size[] {
  const words: [number, string][] = [[0.5, 'Small'], [1, 'Medium'], [2, 'Large'], [4, 'Extra large']];
  const sizes: Size[] = [];
  for (const [factor, word] of words) {
    const size = { word, cpus: allowedNear(limits.cpus, factor), memory: allowedNear(limits.memory, factor) };
    if (!sizes.some((other) => other.cpus === size.cpus && other.memory === size.memory)) sizes.push(size);
  }
  return sizes;
}

export function defaultSizeOf(limits: Pick<Limits, 'cpus' | 'memory'>): Omit<Size, 'word'> {
  return { cpus: limits.cpus.default, memory: limits.memory.default };
}

function allowedNear(limit: Pick<Limit, 'default' | 'max' | 'choices'>, factor: number): number {
  if (factor === 1) return limit.default;
  const wanted = limit.default * factor;
  if (limit.choices.length === 0) return limit.max > 0 ? Math.min(wanted, limit.max) : wanted;
  return [limit.default, ...limit.choices].reduce((best, choice) => (Math.abs(choice - wanted) < Math.abs(best - wanted) ? choice : best));
}
