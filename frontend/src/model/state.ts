// What the state of a workspace looks like, and what can be done about it. Every page asks here, so that all agree.
import type { Action, Limit, Step, Workspace } from '../api/types';
import { formatMB } from './format';

export type Shape = 'run' | 'busy' | 'off' | 'fail' | 'wait' | 'unknown';

/** Shape, word and colour together: never colour alone. */
export interface StateLook {
  shape: Shape;
  word: string;
  tone: 'run' | 'busy' | 'off' | 'fail';
}

export function lookOf(workspace: Pick<Workspace, 'status' | 'phase' | 'desired'>): StateLook {
  switch (workspace.status) {
    case 'running':
      return { shape: 'run', word: 'Running', tone: 'run' };
    case 'pending':
      if (workspace.phase === 'queued') return { shape: 'wait', word: 'Queued', tone: 'off' };
      return { shape: 'busy', word: 'Starting', tone: 'busy' };
    case 'terminating':
      return { shape: 'busy', word: workspace.desired === 'deleted' ? 'Deleting' : 'Stopping', tone: 'off' };
    case 'stopped':
      return { shape: 'off', word: 'Stopped', tone: 'off' };
    case 'succeeded':
      return { shape: 'off', word: 'Ended', tone: 'off' };
    case 'failed':
      return { shape: 'fail', word: 'Failed', tone: 'fail' };
    case 'unknown':
      return { shape: 'unknown', word: 'Unknown', tone: 'off' };
  }
}

/** Whether why it is so is worth room: that it ends because it should goes without saying. */
export function saysWhy(workspace: Pick<Workspace, 'status' | 'reason' | 'reason_code'>): boolean {
  return workspace.reason !== '' && (workspace.status !== 'terminating' || workspace.reason_code === 'tried_again');
}

/** The one thing to do next. */
export type NextStep =
  | { do: 'open' | 'cancel' | 'start'; label: string }
  | { do: 'startWithMemory'; label: string; memory: number }
  | { do: 'changeImage'; label: string };

/** What the button of a row does; undefined when nothing can be asked of the workspace. */
export function nextStepOf(workspace: Workspace, memory: Limit | undefined): NextStep | undefined {
  const can = (action: Action): boolean => workspace.actions.includes(action);
  if (workspace.status === 'running') return can('open') ? { do: 'open', label: 'Open' } : undefined;
  if (workspace.status === 'pending') return can('cancel') ? { do: 'cancel', label: 'Cancel' } : undefined;
  if (!can('start')) return undefined;
  if (workspace.status === 'failed' && can('update')) {
    if (workspace.reason_code === 'image_missing') return { do: 'changeImage', label: 'Change image' };
    const more = workspace.reason_code === 'oom' && memory !== undefined ? moreMemory(workspace.compute.memory, memory) : undefined;
    if (more !== undefined) return { do: 'startWithMemory', label: `Start with ${formatMB(more)}`, memory: more };
  }
  return { do: 'start', label: workspace.status === 'failed' ? 'Start again' : 'Start' };
}

/** Half as much again, within what is allowed; undefined when there is no more to be had. */
export function moreMemory(current: number, limit: Pick<Limit, 'max' | 'choices'>): number | undefined {
  const wanted = current * 1.5;
  if (limit.choices.length > 0) {
    const larger = limit.choices.filter((choice) => choice > current).sort((a, b) => a - b);
    return larger.find((choice) => choice >= wanted) ?? larger.at(-1);
  }
  const rounded = wanted >= 1000 ? Math.round(wanted / 100) * 100 : Math.round(wanted);
  const allowed = limit.max > 0 ? Math.min(rounded, limit.max) : rounded;
  return allowed > current ? allowed : undefined;
}

export interface StartSummary {
  step: Step;
  /** 1 for the first. */
  position: number;
  count: number;
  /** How much of the step is done, 0 to 1; undefined when nobody knows. */
  share: number | undefined;
}

/** The step a start is at, or the one it failed at. */
export function currentStep(workspace: Pick<Workspace, 'progress'>): StartSummary | undefined {
  const steps = workspace.progress?.steps ?? [];
  const index = steps.findIndex((step) => step.state === 'now' || step.state === 'failed');
  const step = steps[index];
  if (step === undefined) return undefined;
  return { step, position: index + 1, count: steps.length, share: shareOf(step) };
}

export function shareOf(step: Pick<Step, 'current' | 'total'>): number | undefined {
  return step.total > 0 ? Math.min(1, step.current / step.total) : undefined;
}

/** The last lines that tell why a start failed. */
export function lastLinesOf(workspace: Pick<Workspace, 'progress'>): string[] {
  return workspace.progress?.steps.find((step) => step.state === 'failed')?.log ?? [];
}

/** It ran or tried to, and is over. */
export function hasEnded(workspace: Pick<Workspace, 'status'>): boolean {
  return workspace.status === 'failed' || workspace.status === 'succeeded';
}

export function holdsResources(workspace: Pick<Workspace, 'status'>): boolean {
  return workspace.status === 'running';
}
