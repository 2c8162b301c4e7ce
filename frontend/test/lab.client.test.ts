// @vitest-environment node
// The client of the browser behind the proxy of an ML Lab, which answers by itself where nothing of ours does.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiError, type WorkspaceClient } from '../src/api/client';
import { createHttpClient } from '../src/api/http';
import { idleWarning, labPageOf, restartsAtOnce, whenOf } from '../src/model/lab';
import { lab, host, workspace } from './samples';

const below = '/lab/projects/ctxy-global/services/x-p-ctxy-global-s-workspaces/access/8080';
let server: http.Server;
let client: WorkspaceClient;
let asked: string[];
/** What the proxy does with what is asked below the path of the extension; undefined: it hangs up. */
let answer: { status: number; type: string; text: string } | undefined;
let labIsUp: boolean;

beforeEach(async () => {
  asked = [];
  labIsUp = true;
  server = http.createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(`${request.method ?? ''} ${path.replace(below, '…')}`);
    if (path === '/lab/api/system/info') response.writeHead(labIsUp ? 200 : 502).end('{}');
    else if (answer === undefined) request.socket.destroy();
    else response.writeHead(answer.status, { 'Content-Type': answer.type }).end(answer.text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = createHttpClient(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}${below}/api/`));
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

async function refusal(): Promise<ApiError> {
  return client.me().then(
    () => Promise.reject(new Error('it should have been refused')),
    (error: unknown) => error as ApiError,
  );
}

describe('who is not let in by the lab', () => {
  test.each([
    ['says so', { status: 403, type: 'text/plain', text: 'No auth cookie set' }],
    ['stumbles', { status: 500, type: 'text/html', text: '<html>' }],
    ['hangs up', undefined],
  ])('has to log in there, if its proxy %s', async (_, said) => {
    answer = said;
    expect(await refusal()).toMatchObject({ status: 401, hint: 'Log in to ML Lab, then load this page again.' });
  });
  test('has to wait, if the lab itself does not answer', async () => {
    labIsUp = false;
    answer = undefined;
    expect(await refusal()).toMatchObject({ status: 0, detail: 'ML Lab does not answer.' });
    answer = { status: 500, type: 'text/html', text: '' };
    expect(await refusal()).toMatchObject({ status: 0, detail: 'ML Lab does not answer.' });
  });
  test('is told what we say, where we say something', async () => {
    answer = { status: 403, type: 'application/problem+json', text: '{"status":403,"detail":"No.","code":"forbidden"}' };
    expect(await refusal()).toMatchObject({ status: 403, detail: 'No.' });
  });
});

test('opens at the address of the lab, wherever the page is', async () => {
  answer = { status: 200, type: 'application/json', text: '{"url":"/lab/projects/ada0/services/x/access/8080b/","id":"ada0"}' };
  expect(await client.open('x')).toBe(`http://127.0.0.1:${(server.address() as AddressInfo).port}/lab/projects/ada0/services/x/access/8080b/`);
});

test('who acts for somebody asks about them, and for them', async () => {
  answer = { status: 200, type: 'application/json', text: '{"id":"admin0"}' };
  const acting = client.actingFor('ada0');
  await acting.quota();
  await acting.limits('jupyter');
  await acting.host();
  await acting.list();
  await acting.stop('ws');
  await acting.me();
  expect(asked).toEqual(['GET …/api/quota?user=ada0', 'GET …/api/limits?profile=jupyter&user=ada0', 'GET …/api/host?user=ada0', 'GET …/api/users/ada0/workspace', 'POST …/api/users/ada0/workspace/ws:stop', 'GET …/api/users/me']);
});

describe('in a lab', () => {
  test.each([
    [`https://lab.example${below}/app/`, 'https://lab.example/lab/app'],
    ['http://127.0.0.1:30010/projects/ctxy-global/services/x/access/8080/app', 'http://127.0.0.1:30010/app'],
    ['http://127.0.0.1:8080/app/', undefined],
  ])('its own page is found from %s', (address, page) => expect(labPageOf(address)).toBe(page));

  test('a change restarts what runs, and what the engine changes live does not', () => {
    const runs = workspace();
    expect(restartsAtOnce(runs, { compute: { memory: 1 } }, lab().can)).toBe(true);
    expect(restartsAtOnce(runs, { idle_timeout: 1 }, lab().can)).toBe(true);
    expect(restartsAtOnce(runs, { compute: { memory: 1 } }, host().can)).toBe(false);
    expect(restartsAtOnce(runs, { container_image: 'x' }, host().can)).toBe(true);
    expect(restartsAtOnce(runs, { display_name: 'x' }, host().can)).toBe(false);
    expect(restartsAtOnce(workspace({ desired: 'stopped', status: 'stopped' }), { compute: { memory: 1 } }, lab().can)).toBe(false);
    expect(restartsAtOnce(workspace({ status: 'failed' }), { compute: { memory: 1 } }, lab().can)).toBe(false);
    expect(restartsAtOnce(runs, undefined, lab().can)).toBe(false);
    expect([whenOf('restart', false).word, whenOf('restart', true).word, whenOf('live', true).word]).toEqual(['restarts it', 'needs restart', 'applies live']);
  });

  test('short idle timeouts get a word of caution', () => {
    expect(idleWarning(0)).toBe('');
    expect(idleWarning(1_199)).toContain('Below 20 minutes');
    expect(idleWarning(1_200)).not.toContain('Below 20 minutes');
  });
});
