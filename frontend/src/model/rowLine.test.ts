import { describe, expect, test } from 'vitest';
import { storage, workspace } from '../../test/samples';
import type { Idle, Workspace } from '../api/types';
import { formatTime } from './format';
import { idleLeft, queueText, rowLine, wasStoppedForAReason } from './rowLine';

const now = Date.parse('2026-11-12T14:50:00Z');
const at = (minutes: number): string => new Date(now + minutes * 60_000).toISOString();
const idle = (part: Partial<Idle>): Idle => ({ in_use: false, since: null, stops_at: null, reason: '', kept_until: null, ...part });
const hour = { idle_timeout: 3_600 };

describe('what is most urgent of a running workspace', () => {
  const everything: Partial<Workspace> = {
    ...hour, grace_until: at(30), idle: idle({ since: at(-55), stops_at: at(5) }), storage: storage({ warning: 'Its files are 95 % full.' }),
    above_limits: ['compute.memory'], reason: 'It was restarted.', pending_restart: ['shm'], image_gone: 'Its image is not here any more.', update_available: 'There is a newer JupyterLab.',
  };
  const less = (...gone: Partial<Workspace>[]): Workspace => workspace(Object.assign({}, everything, ...gone) as Partial<Workspace>);
  const calm = [{ grace_until: null }, { idle: idle({ since: at(-35), stops_at: at(25) }) }, { storage: storage() }, { idle: null }, { above_limits: [] }, { reason: '' }, { pending_restart: [] }, { image_gone: '' }, { update_available: '' }];
  test.each([
    [0, 'grace', `full: stops at ${formatTime(at(30))} unless you free space`, true],
    [1, 'idle', `stops in 5 min, unused since ${formatTime(at(-55))}`, true],
    [2, 'full', 'Its files are 95 % full.', true],
    [3, 'idle', `stops in 25 min, unused since ${formatTime(at(-35))}`, false],
    [4, 'above', 'above its limit: memory; lowered at the next start', false],
    [5, 'reason', 'It was restarted.', false],
    [6, 'restart', 'changed, acts after a restart: shared memory', false],
    [7, 'gone', 'image is gone', false],
    [8, 'update', 'update available', false],
    [9, 'since', '', false],
  ])('with %d things settled: %s', (settled, kind, text, warn) => expect(rowLine(less(...calm.slice(0, settled)), now)).toMatchObject({ kind, text, warn }));

  test('only a countdown can be extended', () => {
    expect(rowLine(less(...calm.slice(0, 1)), now).extend).toBe(true);
    expect(rowLine(less(...calm.slice(0, 2)), now).extend).toBe(false);
  });
  test('who asked for more time sees until when', () => {
    expect(rowLine(workspace({ ...hour, idle: idle({ kept_until: at(120), stops_at: at(120) }) }), now).text).toBe(`kept until ${formatTime(at(120))}`);
  });
  test('a time that has passed says nothing', () => {
    expect(rowLine(workspace({ grace_until: at(-1), idle: idle({ kept_until: at(-1) }) }), now).kind).toBe('since');
  });
  test('the last minute is not counted', () => expect(rowLine(workspace({ ...hour, idle: idle({ stops_at: at(0.5) }) }), now).text).toBe('stops in less than a minute'));
});

test.each([
  ['in use', idle({ in_use: true, stops_at: at(5) }), 3_600, undefined],
  ['more than half is left', idle({ stops_at: at(31) }), 3_600, undefined],
  ['less than half is left', idle({ stops_at: at(29) }), 3_600, 29],
  ['less than ten minutes of a short timeout', idle({ stops_at: at(9) }), 600, 9],
  ['overdue', idle({ stops_at: at(-1) }), 600, 0],
  ['no idle timeout', null, 0, undefined],
])('minutes to count down: %s', (_, given, timeout, minutes) => {
  expect(idleLeft({ idle: given, idle_timeout: timeout }, now)).toBe(minutes === undefined ? undefined : minutes * 60_000);
});

test('a place in the queue, if there is a number', () => {
  expect([queueText({ position: 3 }), queueText({ position: 0 })]).toEqual(['position 3', 'waits for its turn']);
});

test('what the manager stopped says why, what its owner stopped does not', () => {
  expect(wasStoppedForAReason({ status: 'stopped', reason_code: 'idle' })).toBe(true);
  expect(wasStoppedForAReason({ status: 'stopped', reason_code: 'removed' })).toBe(true);
  expect(wasStoppedForAReason({ status: 'stopped', reason_code: '' })).toBe(false);
});
