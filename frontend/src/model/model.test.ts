import { describe, expect, test, vi } from 'vitest';
import { host, workspace } from '../../test/samples';
import { backoff } from '../api/backoff';
import { sameAgain } from '../features/actions/useActions';
import { matches } from '../features/home/find';
import { isLoopbackName, probeAddress } from './address';
import { editedFrom, updateOf } from './changes';
import { filterLines, LogBuffer } from './logBuffer';
import { verdictOf } from './verdict';

describe('what is sent of an edited workspace', () => {
  const before = workspace();
  test('nothing, when nothing has changed', () => expect(updateOf(before, { ...editedFrom(before), name: ' thesis ' })).toBeUndefined());
  test('only what has changed', () => {
    expect(updateOf(before, { ...editedFrom(before), memory: 6_000, containerSize: 7_000 })).toEqual({ compute: { memory: 6_000 }, storage: { container_size: 7_000 } });
    expect(updateOf(before, { ...editedFrom(before), name: 'b', image: ' x:1 ', idleTimeout: 3_600 })).toEqual({ display_name: 'b', container_image: 'x:1', idle_timeout: 3_600 });
  });
});

test('a kind of image that nobody named is left to the server', () => {
  const before = workspace();
  expect(updateOf(before, { ...editedFrom(before), image: 'x:1', profile: '' })).toEqual({ container_image: 'x:1' });
  expect(updateOf(before, { ...editedFrom(before), profile: 'custom', port: 9_000, shm: 500 })).toEqual({ profile: 'custom', port: 9_000, compute: { shm: 500 } });
});

describe('a verdict in words', () => {
  test.each([
    [{ verdict: 'fits', position: 0, short: '', reason: '' }, 'Fits.', ''],
    [{ verdict: 'waits', position: 3, short: 'over your quota by 2 GB', reason: '' }, 'Waits, position 3.', 'Over your quota by 2 GB.'],
    [{ verdict: 'refused', position: 0, short: 'over your quota by 2 GB', reason: 'Ask for less.' }, 'Over your quota by 2 GB.', 'Ask for less.'],
    [{ verdict: 'refused', position: 0, short: '', reason: 'No.' }, 'Not possible.', 'No.'],
  ] as const)('%j', (check, head, reason) => expect(verdictOf(check)).toMatchObject({ head, reason }));
});

describe('undo of a delete', () => {
  test('uses the kept volume and starts what ran', () => {
    expect(sameAgain(workspace(), true)).toMatchObject({ display_name: 'thesis', storage: { volume: 'ws-thesis-vol' }, compute: { cpus: 2, memory: 4_000 }, is_stopped: false });
  });
  test('keeps its age, and every limit', () => {
    const compute = { cpus: 2, memory: 4_000, shm: 1_000, processes: 500, gpus: 1 };
    expect(sameAgain(workspace({ compute }), true)).toMatchObject({ created_at: '2026-11-12T09:00:00Z', compute });
    // Half of the memory is what everybody has who asks for nothing, and follows the memory.
    expect(sameAgain(workspace(), true).compute).not.toHaveProperty('shm');
  });
  test('leaves stopped what was stopped', () => expect(sameAgain(workspace({ desired: 'stopped' }), true).is_stopped).toBe(true));
  test('asks for no files where there are none', () => expect(sameAgain(workspace(), false).storage).not.toHaveProperty('volume'));
});

describe('the log', () => {
  test('joins parts of lines and drops what is too old', () => {
    const buffer = new LogBuffer(3);
    buffer.append('a\nb');
    buffer.append('b\nc\nd\ne');
    expect(buffer.lines()).toEqual(['bb', 'c', 'd', 'e']);
    expect(buffer.dropped).toBe(1);
  });
  test('shows lines as a terminal would leave them', () => {
    const buffer = new LogBuffer();
    buffer.append('\u001b[32mgreen\u001b[0m\r\n10 %\r20 %\n');
    expect(buffer.lines()).toEqual(['green', '20 %']);
  });
  test('is filtered regardless of case', () => expect(filterLines(['One', 'two'], ' ON ')).toEqual(['One']));
});

describe('the address of a workspace', () => {
  const access = host().access;
  const answering = vi.fn(() => Promise.resolve(new Response()));
  const refusing = vi.fn(() => Promise.reject(new TypeError('no such name')));
  test('is a host of its own where names resolve', async () => {
    expect(await probeAddress(access, { hostname: '127.0.0.1', fetch: answering })).toBe('host');
    expect(answering).toHaveBeenCalledWith('http://probe.localhost:8080/_lab/ping', expect.objectContaining({ mode: 'no-cors' }));
  });
  test('is a path where they do not', async () => expect(await probeAddress(access, { hostname: 'localhost', fetch: refusing })).toBe('loopback'));
  test('is left to the server when the page came from elsewhere', async () => {
    refusing.mockClear();
    expect(await probeAddress(access, { hostname: 'lab.example.org', fetch: refusing })).toBeUndefined();
    expect(refusing).not.toHaveBeenCalled();
  });
  test.each([['localhost', true], ['a.localhost', true], ['127.0.0.1', true], ['[::1]', true], ['127.example.org', false], ['notlocalhost', false]])(
    '%s is loopback: %s', (name, loopback) => expect(isLoopbackName(name)).toBe(loopback),
  );
});

test('find needs every word', () => {
  expect(matches(workspace(), 'run thes')).toBe(true);
  expect(matches(workspace(), 'stopped thes')).toBe(false);
  expect(matches(workspace(), '')).toBe(true);
});

test('connecting again takes longer each time, up to a bound', () => {
  expect([0, 1, 2, 20].map((tries) => backoff(tries, () => 0.5))).toEqual([250, 500, 1_000, 10_000]);
});
