// @vitest-environment node
// Both clients against the same manager: everything above them relies on their doing the same.
import { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ApiError, WorkspaceClient } from '../src/api/client';
import { createDesktopClient } from '../src/api/desktop';
import { apiBesidePage, createHttpClient } from '../src/api/http';
import type { LabEvent } from '../src/api/types';
import { bind, FakeBackend, serve } from './fakeBackend';
import { workspace } from './samples';

interface Setup {
  client: WorkspaceClient;
  stop: () => Promise<void>;
}

const kinds: [string, (backend: FakeBackend) => Promise<Setup>][] = [
  ['http', async (backend) => {
    const server = await serve(backend);
    return { client: createHttpClient(server.base), stop: server.stop };
  }],
  ['desktop', (backend) => {
    const { app, runtime } = bind(backend);
    return Promise.resolve({ client: createDesktopClient(app, runtime), stop: () => Promise.resolve() });
  }],
];

beforeEach(() => {
  vi.stubGlobal('window', new EventTarget());
  vi.stubGlobal('WebSocket', WebSocket);
});
afterEach(() => vi.unstubAllGlobals());

async function refusalOf(call: Promise<unknown>): Promise<ApiError> {
  return call.then(
    () => Promise.reject(new Error('it should have been refused')),
    (error: unknown) => error as ApiError,
  );
}

describe.each(kinds)('the %s client', (kind, setUp) => {
  let backend: FakeBackend;
  let client: WorkspaceClient;
  let stop: () => Promise<void>;

  beforeEach(async () => {
    backend = new FakeBackend();
    ({ client, stop } = await setUp(backend));
  });
  afterEach(() => stop());

  test('says what it is', () => expect(client.kind).toBe(kind));

  test('asks for everything there is to know', async () => {
    expect(await client.me()).toEqual({ id: 'ada0', name: 'ada0', admin: false });
    expect((await client.config()).display_name_default).toBe('Default Workspace');
    expect((await client.host()).reachable).toBe(true);
    expect((await client.images())[0]?.name).toBe('JupyterLab');
    expect((await client.list()).map((one) => one.display_name)).toEqual(['thesis']);
    expect((await client.get('ws-thesis')).compute.memory).toBe(4_000);
    expect((await client.volumes())[0]?.name).toBe('ws-old-vol');
    expect((await client.usage('ws-thesis')).files).toBe(12);
    expect((await client.volumeUsage('ws-old-vol')).bytes).toBe(3_200);
  });

  test('asks what may be had, and what would fit', async () => {
    expect((await client.quota()).memory.reserved).toBe(4_000);
    expect((await client.limits('jupyter')).memory.max).toBe(8_000);
    expect((await client.profiles()).map((one) => one.name)).toEqual(['jupyter-docker-stacks', 'custom']);
    expect((await client.detectImage('quay.io/a/b:1 &c')).why).toContain('8888');
    expect((await client.check({ display_name: 'x' }, new AbortController().signal)).verdict).toBe('fits');
    backend.verdict = { verdict: 'waits', position: 3, short: 'over your quota by 2 GB of memory', reason: 'Your quota is 4 GB.' };
    expect(await client.checkUpdate('ws-thesis', { compute: { memory: 6_000 } })).toEqual(backend.verdict);
    expect(backend.calls).toEqual(['check x', 'check ws-thesis']);
  });

  test('keeps one from being stopped', async () => {
    expect((await client.extend('ws-thesis')).idle?.kept_until).toBe('2026-11-12T17:00:00Z');
    await client.extend('ws-thesis', 600);
    expect(backend.calls).toEqual(['extend ws-thesis 0', 'extend ws-thesis 600']);
  });

  test('lets administrators do what they may, and nobody else', async () => {
    expect(await refusalOf(client.adminOverview())).toMatchObject({ code: 'forbidden', detail: 'Only an administrator may do this.' });
    expect(await refusalOf(client.adminCheck('ws-bob', {}))).toMatchObject({ code: 'forbidden' });
    backend.me = { id: 'ada0', name: 'ada0', admin: true };
    expect((await client.adminOverview()).users[0]?.user).toBe('bob');
    expect((await client.adminAudit())[0]?.detail).toBe('maintenance');
    expect((await client.adminConfig())[1]?.origin).toBe('config.toml:4');
    await client.adminStop('ws-bob', 'maintenance');
    expect((await client.adminCheck('ws-bob', { compute: { memory: 2_000 } })).verdict).toBe('fits');
    expect((await client.adminResize('ws-bob', { compute: { memory: 2_000 } })).display_name).toBe('mining');
    expect(backend.calls).toEqual(['admin stop ws-bob: maintenance', 'check ws-bob', 'admin resize ws-bob {"compute":{"memory":2000}}']);
  });

  test('changes workspaces', async () => {
    expect((await client.create({ display_name: 'Zoë & co' })).status).toBe('pending');
    expect((await client.update('ws-thesis', { display_name: 'book' })).display_name).toBe('book');
    await client.start('ws-thesis');
    await client.stop('ws-thesis');
    await client.restart('ws-thesis');
    await client.delete('ws-Zoë & co', false);
    await client.delete('ws-thesis', true);
    await client.deleteVolume('ws-old-vol');
    expect(backend.calls).toEqual(['start ws-thesis', 'stop ws-thesis', 'restart ws-thesis', 'delete ws-Zoë & co', 'delete with files ws-thesis', 'delete volume ws-old-vol']);
    expect(backend.workspaces).toEqual([]);
  });

  test('opens', async () => expect(await client.open('ws-thesis')).toBe('http://127.0.0.1/open/ws-thesis?server'));

  test('hands on why something was refused', async () => {
    const refusal = await refusalOf(client.create({ display_name: 'thesis' }));
    expect(refusal).toMatchObject({ name: 'ApiError', code: 'conflict', detail: 'A workspace with the name thesis already exists for user ada0!', hint: 'Choose another name.' });
    expect(refusal.message).toBe('A workspace with the name thesis already exists for user ada0! Choose another name.');
    expect(await refusalOf(client.start('ws-gone'))).toMatchObject({ code: 'not_found' });
  });

  test('reads logs', async () => expect(await client.logs('ws-thesis', 20)).toBe('last 20 lines\n'));

  test('follows logs to their end', async () => {
    const text: string[] = [];
    const end = vi.fn();
    client.followLogs('ws-thesis', 5, { onText: (part) => text.push(part), onEnd: end });
    await vi.waitFor(() => expect(text.join('')).toBe('last 5 lines\n'));
    backend.logFollowers.forEach((stream) => stream.write('one more ✓\n'));
    await vi.waitFor(() => expect(text.join('')).toBe('last 5 lines\none more ✓\n'));
    expect(end).not.toHaveBeenCalled();
    backend.logFollowers.forEach((stream) => stream.end());
    await vi.waitFor(() => expect(end).toHaveBeenCalledExactlyOnceWith());
  });

  test('stops following logs when asked', async () => {
    const text: string[] = [];
    const end = vi.fn();
    const stopFollowing = client.followLogs('ws-thesis', 5, { onText: (part) => text.push(part), onEnd: end });
    await vi.waitFor(() => expect(text).toHaveLength(1));
    stopFollowing();
    backend.logFollowers.forEach((stream) => stream.write('too late\n'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(text).toHaveLength(1);
    expect(end).not.toHaveBeenCalled();
  });

  test('says why a log cannot be followed', async () => {
    const end = vi.fn();
    client.followLogs('ws-gone', 5, { onText: vi.fn(), onEnd: end });
    await vi.waitFor(() => expect(end).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'not_found', detail: 'There is no such workspace.' })));
  });

  test('sends a snapshot and then every change', async () => {
    const events: LabEvent[] = [];
    const connection = vi.fn();
    const unsubscribe = client.subscribe({ onEvent: (event) => events.push(event), onConnection: connection });
    await vi.waitFor(() => expect(events.map((event) => event.type)).toEqual(['snapshot']));
    expect(connection).toHaveBeenLastCalledWith(true);
    backend.emit({ seq: 2, type: 'workspace', workspace: workspace({ display_name: 'new' }) });
    await vi.waitFor(() => expect(events[1]).toMatchObject({ type: 'workspace', workspace: { display_name: 'new' } }));
    unsubscribe();
    backend.emit({ seq: 3, type: 'workspace_removed', id: 'ws-thesis', owner: 'ada0' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(events).toHaveLength(2);
  });
});

describe('only over HTTP', () => {
  test('a question can be called off', async () => {
    const server = await serve(new FakeBackend());
    const client = createHttpClient(server.base);
    const asked = new AbortController();
    const answer = client.check({ display_name: 'x' }, asked.signal);
    asked.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
    await server.stop();
  });

  test('connects again and gets a new snapshot after the connection was lost', async () => {
    const backend = new FakeBackend();
    const server = await serve(backend);
    const seen: string[] = [];
    const unsubscribe = createHttpClient(server.base).subscribe({
      onEvent: (event) => seen.push(event.type),
      onConnection: (connected) => seen.push(connected ? 'connected' : 'lost'),
    });
    await vi.waitFor(() => expect(seen).toEqual(['connected', 'snapshot']));
    server.dropEvents();
    await vi.waitFor(() => expect(seen).toEqual(['connected', 'snapshot', 'lost', 'connected', 'snapshot']), { timeout: 3_000 });
    unsubscribe();
    await server.stop();
  });

  test('notices a server that hangs, by its silence', async () => {
    const server = await serve(new FakeBackend());
    const seen: string[] = [];
    // Time passes for the client alone.
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const unsubscribe = createHttpClient(server.base).subscribe({
      onEvent: (event) => seen.push(event.type),
      onConnection: (connected) => seen.push(connected ? 'connected' : 'lost'),
    });
    await vi.waitFor(() => expect(seen).toEqual(['connected', 'snapshot']));
    vi.advanceTimersByTime(20_000);
    expect(seen).toEqual(['connected', 'snapshot']);
    vi.advanceTimersByTime(10_000);
    expect(seen).toEqual(['connected', 'snapshot', 'lost']);
    vi.useRealTimers();
    await vi.waitFor(() => expect(seen.slice(3)).toEqual(['connected', 'snapshot']), { timeout: 3_000 });
    unsubscribe();
    await server.stop();
  });

  test('logs in', async () => {
    const server = await serve(new FakeBackend());
    const client = createHttpClient(server.base);
    expect(await refusalOf(client.login('guess'))).toMatchObject({ status: 401, detail: 'That is not the token.' });
    await client.login('secret');
    await server.stop();
  });

  test('asks for the kind of address that works', async () => {
    const server = await serve(new FakeBackend());
    expect(await createHttpClient(server.base).open('ws-thesis', 'loopback')).toMatch(/\?loopback$/);
    await server.stop();
  });

  test('says so when nobody answers', async () => {
    const server = await serve(new FakeBackend());
    await server.stop();
    expect(await refusalOf(createHttpClient(server.base).host())).toMatchObject({ status: 0, code: 'unreachable' });
  });

  test('finds the API beside the pages, below any prefix', () => {
    expect(apiBesidePage('http://lab.example.org/ext/app/index.html').href).toBe('http://lab.example.org/ext/api/');
    expect(apiBesidePage('http://127.0.0.1:8080/app/').href).toBe('http://127.0.0.1:8080/api/');
  });
});

test('the window hears what a page shows', async () => {
  const backend = new FakeBackend();
  const { app, runtime } = bind(backend);
  createDesktopClient(app, runtime).reportRendered('/users/ada0/workspace', [{ id: 'a', name: 'b', state: 'Running' }]);
  await vi.waitFor(() => expect(backend.rendered).toEqual([{ route: '/users/ada0/workspace', workspaces: [{ id: 'a', name: 'b', state: 'Running' }] }]));
});
