import { QueryClient } from '@tanstack/react-query';
import { beforeEach, describe, expect, test } from 'vitest';
import { host, quota, volume, workspace } from '../../test/samples';
import { applyEvent, keys, putWorkspace } from './cache';
import { ApiError, errorOf, errorOfBinding, errorOfProblem } from './client';
import type { Workspace } from './types';

describe('what went wrong, in words', () => {
  test('comes from the problem, with its fields by their paths', () => {
    const error = errorOfProblem(422, { detail: '6 CPUs are more than the 4 allowed.', code: 'invalid', errors: [{ location: 'body.compute.cpus', message: 'too many' }] });
    expect(error).toMatchObject({ status: 422, code: 'invalid', detail: '6 CPUs are more than the 4 allowed.', hint: '', fields: { 'compute.cpus': 'too many' } });
  });
  test.each([
    [502, undefined, 'unavailable', 'The workspace manager cannot be reached at the moment.'],
    [401, '<html>', 'unauthenticated', 'You are not logged in.'],
    [418, {}, 'internal', 'The workspace manager answered with status 418 and no reason.'],
  ])('is made up for status %d without a problem', (status, body, code, detail) => expect(errorOfProblem(status, body)).toMatchObject({ code, detail }));
  test('comes from what the window rejects with', () => {
    expect(errorOfBinding({ code: 'conflict', detail: 'Taken.', hint: 'Choose another.' })).toMatchObject({ code: 'conflict', message: 'Taken. Choose another.' });
    expect(errorOfBinding('plain text').detail).toBe('plain text');
  });
  test('never shows the insides of an unexpected error', () => {
    expect(errorOf(new TypeError('x is undefined')).detail).toBe('Something went wrong inside the workspace manager.');
    const known = new ApiError(1, 'a', 'b');
    expect(errorOf(known)).toBe(known);
  });
});

describe('events keep the cache fresh', () => {
  let cache: QueryClient;
  const names = (): string[] | undefined => cache.getQueryData<Workspace[]>(keys.workspaces)?.map((one) => one.display_name);
  const at = (id: string, created: string, name = id): Workspace => workspace({ id, display_name: name, created_at: `2026-11-12T0${created}:00:00Z` });

  beforeEach(() => {
    cache = new QueryClient();
    applyEvent(cache, { seq: 1, type: 'snapshot', workspaces: [at('a', '1'), at('c', '3')], volumes: [], host: host(), quota: quota() });
  });

  test('a snapshot replaces everything', () => {
    applyEvent(cache, { seq: 2, type: 'snapshot', workspaces: [], volumes: [volume()], host: host({ reachable: false }), quota: quota({ waiting: 1 }) });
    expect(names()).toEqual([]);
    expect(cache.getQueryData(keys.volumes)).toHaveLength(1);
    expect(cache.getQueryData(keys.host)).toMatchObject({ reachable: false });
    expect(cache.getQueryData(keys.quota)).toMatchObject({ waiting: 1 });
  });
  test('a workspace takes its place, or the place of its older self', () => {
    applyEvent(cache, { seq: 2, type: 'workspace', workspace: at('b', '2') });
    expect(names()).toEqual(['a', 'b', 'c']);
    applyEvent(cache, { seq: 3, type: 'workspace', workspace: at('a', '1', 'renamed') });
    expect(names()).toEqual(['renamed', 'b', 'c']);
  });
  test('the list is a new one each time, and other workspaces stay the same objects', () => {
    const before = cache.getQueryData<Workspace[]>(keys.workspaces);
    applyEvent(cache, { seq: 2, type: 'workspace', workspace: at('a', '1', 'renamed') });
    const after = cache.getQueryData<Workspace[]>(keys.workspaces);
    expect(after).not.toBe(before);
    expect(after?.[1]).toBe(before?.[1]);
  });
  test('an answer that was overtaken by an event changes nothing', () => {
    applyEvent(cache, { seq: 2, type: 'workspace', workspace: { ...at('a', '1', 'taken back'), updated_at: '2026-11-12T09:00:00.5Z' } });
    putWorkspace(cache, { ...at('a', '1', 'wanted'), updated_at: '2026-11-12T09:00:00.25Z' });
    expect(names()).toEqual(['taken back', 'c']);
    putWorkspace(cache, { ...at('a', '1', 'wanted again'), updated_at: '2026-11-12T09:00:01Z' });
    expect(names()).toEqual(['wanted again', 'c']);
  });
  test('what may be had and what is used are what was said last', () => {
    applyEvent(cache, { seq: 2, type: 'quota', quota: quota({ waiting: 2 }) });
    applyEvent(cache, { seq: 3, type: 'use', use: [{ id: 'a', cpus: 0.5, memory: 300 }] });
    expect(cache.getQueryData(keys.quota)).toMatchObject({ waiting: 2 });
    expect(cache.getQueryData(keys.use)).toEqual([{ id: 'a', cpus: 0.5, memory: 300 }]);
  });
  test('a removed one goes', () => {
    applyEvent(cache, { seq: 2, type: 'workspace_removed', id: 'a', owner: 'ada0' });
    expect(names()).toEqual(['c']);
    expect(cache.getQueryData(keys.gone)).toBeUndefined();
  });
  test('one that somebody else has deleted goes with a word', () => {
    applyEvent(cache, { seq: 2, type: 'workspace_removed', id: 'a', owner: 'ada0', reason: 'a was deleted in ML Lab.' });
    expect(cache.getQueryData(keys.gone)).toEqual({ seq: 2, reason: 'a was deleted in ML Lab.' });
  });
  test('one workspace does not stand for a list nobody has asked for yet', () => {
    const empty = new QueryClient();
    applyEvent(empty, { seq: 1, type: 'workspace', workspace: at('a', '1') });
    expect(empty.getQueryData(keys.workspaces)).toBeUndefined();
  });
  test('an answer that was on its way does not replace what an event said later', async () => {
    const slow = new QueryClient();
    let answer: (list: Workspace[]) => void = () => undefined;
    const asked = slow.query({ queryKey: keys.workspaces, queryFn: () => new Promise<Workspace[]>((resolve) => (answer = resolve)) }).catch(() => undefined);
    await Promise.resolve();
    applyEvent(slow, { seq: 1, type: 'snapshot', workspaces: [at('new', '1')], volumes: [], host: host(), quota: quota() });
    answer([at('old', '1')]);
    await asked;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(slow.getQueryData<Workspace[]>(keys.workspaces)?.[0]?.id).toBe('new');
  });
});
