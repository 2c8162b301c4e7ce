import { describe, expect, test } from 'vitest';
import { host, limit, step, workspace } from '../../test/samples';
import type { Status, Workspace } from '../api/types';
import { currentStep, lastLinesOf, lookOf, moreMemory, nextStepOf, saysWhy } from './state';

const memory = host().limits.memory;

describe('how a state looks', () => {
  test.each<[Partial<Workspace>, string, string]>([
    [{ status: 'running' }, 'run', 'Running'],
    [{ status: 'running', phase: 'resize' }, 'run', 'Running'],
    [{ status: 'pending', phase: 'image' }, 'busy', 'Starting'],
    [{ status: 'pending', phase: 'queued' }, 'wait', 'Queued'],
    [{ status: 'terminating', desired: 'stopped' }, 'busy', 'Stopping'],
    [{ status: 'terminating', desired: 'deleted' }, 'busy', 'Deleting'],
    [{ status: 'stopped' }, 'off', 'Stopped'],
    [{ status: 'succeeded' }, 'off', 'Ended'],
    [{ status: 'failed' }, 'fail', 'Failed'],
    [{ status: 'unknown' }, 'unknown', 'Unknown'],
  ])('%j is %s %s', (part, shape, word) => expect(lookOf(workspace(part))).toMatchObject({ shape, word }));

  test('states with different words differ in shape or colour', () => {
    const all: Status[] = ['running', 'pending', 'failed', 'stopped', 'unknown'];
    const looks = all.map((status) => lookOf(workspace({ status })));
    expect(new Set(looks.map((look) => look.shape + look.tone)).size).toBe(all.length);
  });
});

describe('the one thing to do next', () => {
  const failed = (part: Partial<Workspace>): Workspace => workspace({ status: 'failed', actions: ['start', 'update', 'delete'], ...part });
  test.each<[string, Workspace, unknown]>([
    ['a running one is opened', workspace(), { do: 'open', label: 'Open' }],
    ['a starting one is called off', workspace({ status: 'pending', actions: ['cancel', 'stop'] }), { do: 'cancel', label: 'Cancel' }],
    ['a stopped one is started', workspace({ status: 'stopped', actions: ['start'] }), { do: 'start', label: 'Start' }],
    ['out of memory wants more', failed({ reason_code: 'oom' }), { do: 'startWithMemory', label: 'Start with 6 GB', memory: 6_000 }],
    ['at the limit there is no more', failed({ reason_code: 'oom', compute: { cpus: 1, memory: 8_000, shm: 1, processes: 1, gpus: 0 } }), { do: 'start', label: 'Start again' }],
    ['a missing image is changed', failed({ reason_code: 'image_missing' }), { do: 'changeImage', label: 'Change image' }],
    ['any other failure is tried again', failed({ reason_code: 'exited' }), { do: 'start', label: 'Start again' }],
    ['nothing while the engine is down', workspace({ actions: [] }), undefined],
    ['nothing while it stops', workspace({ status: 'terminating', actions: ['delete'] }), undefined],
  ])('%s', (_, given, expected) => expect(nextStepOf(given, memory)).toEqual(expected));

  test('more memory follows the choices where there are some', () => {
    expect(moreMemory(4_000, limit({ max: 16_000, choices: [2_000, 4_000, 8_000, 16_000] }))).toBe(8_000);
    expect(moreMemory(4_000, limit({ max: 5_000, choices: [4_000, 5_000] }))).toBe(5_000);
    expect(moreMemory(4_000, limit({ max: 4_000, choices: [2_000, 4_000] }))).toBeUndefined();
    expect(moreMemory(512, limit({ max: 0 }))).toBe(768);
  });
});

test('the current step is the one that goes on or failed', () => {
  const steps = [step({ state: 'done' }), step({ state: 'now', current: 412, total: 1_180 }), step()];
  expect(currentStep(workspace({ progress: { steps, cancellable: true } }))).toMatchObject({ position: 2, count: 3, share: 412 / 1_180 });
  expect(currentStep(workspace())).toBeUndefined();
});

test('the last lines come from the step that failed', () => {
  const steps = [step({ state: 'done', log: ['built'] }), step({ state: 'failed', log: ['boom'] })];
  expect(lastLinesOf(workspace({ progress: { steps, cancellable: false } }))).toEqual(['boom']);
});

describe('why it is so', () => {
  test.each<[string, Partial<Workspace>, boolean]>([
    ['is said of what has ended', { status: 'failed', reason: 'Out of memory.' }, true],
    ['goes without saying of an end', { status: 'terminating', reason: 'Being deleted.' }, false],
    ['is said of an end that does not come', { status: 'terminating', reason: 'Its files are not deleted yet.', reason_code: 'tried_again' }, true],
    ['is nothing where nothing is said', { status: 'stopped', reason: '' }, false],
  ])('%s', (_, part, said) => expect(saysWhy(workspace(part))).toBe(said));
});
