import { expect, test } from 'vitest';
import { host, overview, workspace } from '../../test/samples';
import { auditText, hasQuota, hostLines, isTight, matchesAdmin, ofQuota, sortedSettings } from './admin';
import { changesText, isNews } from './notices';

test.each([
  [2, 0, '', '2'], [2, 3, '', '2 of 3'], [4_000, 0, 'MB', '4 GB'], [400, 8_000, 'MB', '0.4 of 8 GB'], [100, 500, 'MB', '100 of 500 MB'],
] as const)('%d of the quota %d%s', (taken, quota, unit, text) => expect(ofQuota(taken, quota, unit)).toBe(text));

test('a quota of 0 is none, and never tight', () => {
  expect([isTight(5, 0), isTight(4, 5), isTight(3, 5)]).toEqual([false, true, false]);
  const [user] = overview().users;
  expect(user && hasQuota(user)).toBe(true);
});

test('the machine bounds what the configuration does not; without GPUs there is no bar of them', () => {
  const line = { scope: 'host', group: '', taken: 1, unit: '' } as const;
  const lines = hostLines([{ ...line, resource: 'cpus', bound: null }, { ...line, resource: 'memory', bound: 5 }, { ...line, resource: 'gpus', bound: 0, taken: 0 }], host());
  expect(lines.map(({ resource, bound }) => [resource, bound])).toEqual([['cpus', 8], ['memory', 5]]);
});

test('settings: what a reload changed, what was set, what is default', () => {
  const setting = (key: string, origin: string) => ({ key, value: '1', origin });
  const all = [setting('a', 'default'), setting('b', 'config.toml:3'), setting('c', 'config.toml:4')];
  expect(sortedSettings(all, '', ['c']).map(({ key }) => key)).toEqual(['c', 'b', 'a']);
  expect(sortedSettings(all, 'TOML :3', []).map(({ key }) => key)).toEqual(['b']);
});

test('what an administrator did, as a sentence', () => {
  expect(auditText({ at: '', admin: 'eve', action: 'resize', user: 'bob', id: 'x', workspace: 'mining', detail: '' }, (id) => ({ bob: 'Robert' })[id] ?? id)).toBe('resized mining of Robert');
  expect(auditText({ at: '', admin: 'eve', action: 'create', user: 'bob', id: '', workspace: '', detail: '' }, (id) => id)).toBe('created a workspace of bob');
  expect(auditText({ at: '', admin: 'eve', action: 'delete-volume', user: 'bob', id: '', workspace: '', detail: '' }, (id) => id)).toBe('deleted kept files of bob');
});

test('the filter knows owners by id and by name', () => {
  expect(matchesAdmin(workspace(), 'Ada Lovelace', 'Running', 'ADA0 thes')).toBe(true);
  expect(matchesAdmin(workspace(), 'Ada Lovelace', 'Running', 'lovelace run')).toBe(true);
});

test('what a reload changed is news for an hour', () => {
  const status = { file: 'f', problem: '', loaded_at: '2026-11-12T10:00:00Z', changes: [{ key: 'a.b', before: '', after: '6', live: false }] };
  expect(changesText(status)).toEqual({ head: '1 setting changed', changes: [{ key: 'a.b', text: '(not set) → 6', live: false }] });
  expect(changesText({ ...status, changes: [] })).toBeUndefined();
  expect(isNews(status, Date.parse('2026-11-12T10:59:00Z'))).toBe(true);
  expect(isNews(status, Date.parse('2026-11-12T11:01:00Z'))).toBe(false);
});
