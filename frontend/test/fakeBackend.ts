// A manager in memory, reached over HTTP or as the bound methods of a window: what both clients must agree about.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import type { DesktopApp, DesktopRuntime } from '../src/api/desktop';
import type { AuditEntry, Check, Config, LabEvent, Overview, Profile, Proposal, Setting, User, Workspace, WorkspaceInput, WorkspaceUpdate } from '../src/api/types';
import { host, image, overview, quota, volume, workspace } from './samples';

class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, readonly detail: string, readonly hint = '') {
    super(detail);
  }
}

const usage = { bytes: 3_200, files: 12, changed_at: null, measured_at: '2026-11-12T10:00:00Z' };

export class FakeBackend {
  workspaces: Workspace[] = [workspace()];
  volumes = [volume()];
  calls: string[] = [];
  me: User = { id: 'ada0', name: 'ada0', admin: false };
  host = host();
  quota = quota();
  overview: Overview = overview();
  audit: AuditEntry[] = [{ at: '2026-11-12T10:00:00Z', admin: 'ada0', action: 'stop', user: 'bob', id: 'ws-bob', workspace: 'mining', detail: 'maintenance' }];
  settings: Setting[] = [
    { key: 'limits.cpus.max', value: '4', origin: 'default' },
    { key: 'quota.user.running', value: '3', origin: 'config.toml:4' },
  ];
  profiles: Profile[] = [
    { name: 'jupyter-docker-stacks', title: 'Jupyter docker-stacks', port: 8888, note: 'Its files are in /home/jovyan/work.' },
    { name: 'custom', title: 'Any web server', port: 8080, note: '' },
  ];
  proposal: Proposal = { profile: 'jupyter-docker-stacks', port: 0, why: 'It exposes port 8888 and starts start-notebook.py.', sure: true };
  /** What becomes of anything that is asked for. */
  verdict: Check = { verdict: 'fits', position: 0, short: '', reason: '' };
  rendered: unknown[] = [];
  readonly #followers = new Set<(event: LabEvent) => void>();
  readonly logFollowers = new Set<{ write: (text: string) => void; end: () => void }>();

  follow(send: (event: LabEvent) => void): () => void {
    this.#followers.add(send);
    send({ seq: 1, type: 'snapshot', workspaces: this.workspaces, volumes: this.volumes, host: this.host, quota: this.quota });
    return () => this.#followers.delete(send);
  }

  emit(event: LabEvent): void {
    for (const send of this.#followers) send(event);
  }

  get followers(): number {
    return this.#followers.size;
  }

  find(id: string): Workspace {
    const found = this.workspaces.find((one) => one.id === id);
    if (found === undefined) throw new Refusal(404, 'not_found', 'There is no such workspace.');
    return found;
  }

  create(input: WorkspaceInput): Workspace {
    const name = input.display_name ?? '';
    if (this.workspaces.some((one) => one.display_name === name)) {
      throw new Refusal(409, 'conflict', `A workspace with the name ${name} already exists for user ada0!`, 'Choose another name.');
    }
    const created = workspace({ id: `ws-${name}`, display_name: name, status: 'pending' });
    this.workspaces.push(created);
    return created;
  }

  update(id: string, update: WorkspaceUpdate): Workspace {
    const changed = { ...this.find(id), updated_at: new Date().toISOString(), ...(typeof update.display_name === 'string' ? { display_name: update.display_name } : {}) };
    this.workspaces = this.workspaces.map((one) => (one.id === id ? changed : one));
    return changed;
  }

  verb(verb: string, id: string): void {
    this.find(id);
    this.calls.push(`${verb} ${id}`);
  }

  delete(id: string, files: boolean): void {
    const gone = this.workspaces.find((one) => one.id === id);
    this.verb(files ? 'delete with files' : 'delete', id);
    if (!files && gone !== undefined) this.volumes.push(volume({ name: gone.storage.volume, display_name: gone.display_name }));
    this.workspaces = this.workspaces.filter((one) => one.id !== id);
  }

  check(what: string): Check {
    this.calls.push(`check ${what}`);
    return this.verdict;
  }

  extend(id: string, seconds: number): Workspace {
    const kept = { ...this.find(id), idle: { in_use: false, since: null, stops_at: null, reason: '', kept_until: '2026-11-12T17:00:00Z' } };
    this.calls.push(`extend ${id} ${seconds}`);
    return kept;
  }

  adminStop(id: string, reason: string): void {
    this.onlyAdmins();
    this.calls.push(`admin stop ${id}: ${reason}`);
  }

  adminCheck(id: string): Check {
    this.onlyAdmins();
    return this.check(id);
  }

  adminResize(id: string, update: WorkspaceUpdate): Workspace {
    this.onlyAdmins();
    this.calls.push(`admin resize ${id} ${JSON.stringify(update)}`);
    return this.overview.workspaces[0] as Workspace;
  }

  onlyAdmins<T>(value?: T): T {
    if (!this.me.admin) throw new Refusal(403, 'forbidden', 'Only an administrator may do this.');
    return value as T;
  }

  usage(): typeof usage {
    return usage;
  }
}

const config = { display_name_default: 'Default Workspace' } as Config;

/** Serves the backend over HTTP at /prefix/api/, as if behind a proxy. */
export async function serve(backend: FakeBackend, token = 'secret'): Promise<{ base: URL; stop: () => Promise<void>; dropEvents: () => void }> {
  const server = http.createServer((request, response) => {
    void answer(backend, token, request, response);
  });
  const sockets = new WebSocketServer({ server, path: '/prefix/api/events' });
  sockets.on('connection', (socket: WebSocket) => {
    const unfollow = backend.follow((event) => socket.send(JSON.stringify(event)));
    socket.send(JSON.stringify({ seq: 0, type: 'alive' }));
    socket.on('close', unfollow);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    base: new URL(`http://127.0.0.1:${port}/prefix/api/`),
    dropEvents: () => sockets.clients.forEach((socket) => socket.terminate()),
    stop: () => {
      sockets.clients.forEach((socket) => socket.terminate());
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(backend: FakeBackend, token: string, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://test');
  const json = (value: unknown): void => void response.setHeader('Content-Type', 'application/json').end(JSON.stringify(value));
  const done = (): void => void response.writeHead(204).end();
  const body = async (): Promise<unknown> => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    return text === '' ? {} : JSON.parse(text);
  };
  const path = decodeURIComponent(pathname.replace('/prefix/api/', ''));
  const [, id = '', verb = ''] = /^users\/ada0\/workspace\/([^:]+)(?::(\w+))?$/.exec(path) ?? [];
  const [, volumeName = '', volumeVerb = ''] = /^users\/ada0\/volumes\/([^:]+)(?::(\w+))?$/.exec(path) ?? [];
  const [, adminId = ''] = /^admin\/workspaces\/([^:]+)/.exec(path) ?? [];
  try {
    if (path === 'login') {
      if (((await body()) as { token?: string }).token !== token) throw new Refusal(401, 'unauthenticated', 'That is not the token.');
      done();
    } else if (path === 'users/me') json(backend.me);
    else if (path === 'config') json(config);
    else if (path === 'host') json(backend.host);
    else if (path === 'quota') json(backend.quota);
    else if (path === 'limits') json(backend.host.limits);
    else if (path === 'profiles') json(backend.profiles);
    else if (path === 'images:detect') json(backend.proposal);
    else if (path === 'admin/overview') json(backend.onlyAdmins(backend.overview));
    else if (path === 'admin/audit') json(backend.onlyAdmins(backend.audit));
    else if (path === 'admin/config') json(backend.onlyAdmins(backend.settings));
    else if (adminId !== '' && path.endsWith(':check')) json(backend.adminCheck(adminId));
    else if (adminId !== '' && request.method === 'PATCH') json(backend.adminResize(adminId, (await body()) as WorkspaceUpdate));
    else if (adminId !== '') {
      backend.adminStop(adminId, ((await body()) as { reason: string }).reason);
      done();
    } else if (path === 'users/ada0/workspace:check') json(backend.check(((await body()) as WorkspaceInput).display_name ?? ''));
    else if (verb === 'check') json(backend.check(id));
    else if (verb === 'extend') json(backend.extend(id, ((await body()) as { seconds?: number }).seconds ?? 0));
    else if (path === 'images') json([image()]);
    else if (path === 'users/ada0/workspace') json(request.method === 'POST' ? backend.create((await body()) as WorkspaceInput) : backend.workspaces);
    else if (path === 'users/ada0/volumes') json(backend.volumes);
    else if (volumeVerb === 'usage' || verb === 'usage') json(backend.usage());
    else if (volumeName !== '') {
      backend.calls.push(`delete volume ${volumeName}`);
      done();
    } else if (verb === 'logs') {
      backend.find(id);
      response.write(`last ${searchParams.get('lines') ?? ''} lines\n`);
      if (searchParams.get('follow') !== 'true') response.end();
      else backend.logFollowers.add({ write: (text) => response.write(text), end: () => response.end() });
    } else if (verb === 'open') {
      backend.find(id);
      const { address = 'server' } = (await body()) as { address?: string };
      json({ url: `http://127.0.0.1/open/${id}?${address}`, expires_at: '' });
    } else if (verb !== '') {
      backend.verb(verb, id);
      done();
    } else if (request.method === 'DELETE') {
      backend.delete(id, searchParams.get('delete_volumes') === 'true');
      done();
    } else if (request.method === 'PATCH') json(backend.update(id, (await body()) as WorkspaceUpdate));
    else json(backend.find(id));
  } catch (error) {
    const refusal = error as Refusal;
    response.writeHead(refusal.status, { 'Content-Type': 'application/problem+json' });
    response.end(JSON.stringify({ title: '', status: refusal.status, code: refusal.code, detail: refusal.detail, hint: refusal.hint }));
  }
}

/** The backend as Wails would bind it. */
export function bind(backend: FakeBackend): { app: DesktopApp; runtime: DesktopRuntime } {
  const listeners = new Map<string, (data: unknown) => void>();
  // Wails rejects with what the error formatter made of an error.
  const bound = <T>(work: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      try {
        resolve(work());
      } catch (error) {
        const { code, detail, hint } = error as Refusal;
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as Wails does
        reject({ code, detail, hint });
      }
    });
  const streamOf = new Map<string, { write: (text: string) => void; end: () => void }>();
  const app: DesktopApp = {
    Me: () => bound(() => backend.me),
    Config: () => bound(() => config),
    Host: () => bound(() => backend.host),
    Images: () => bound(() => [image()]),
    Quota: () => bound(() => backend.quota),
    Limits: () => bound(() => backend.host.limits),
    Profiles: () => bound(() => backend.profiles),
    DetectImage: () => bound(() => backend.proposal),
    Check: (input) => bound(() => backend.check(input.display_name ?? '')),
    CheckUpdate: (id) => bound(() => backend.check(id)),
    Extend: (id, seconds) => bound(() => backend.extend(id, seconds)),
    AdminOverview: () => bound(() => backend.onlyAdmins(backend.overview)),
    AdminAudit: () => bound(() => backend.onlyAdmins(backend.audit)),
    AdminConfig: () => bound(() => backend.onlyAdmins(backend.settings)),
    AdminStop: (id, reason) => bound(() => backend.adminStop(id, reason)),
    AdminCheck: (id) => bound(() => backend.adminCheck(id)),
    AdminResize: (id, update) => bound(() => backend.adminResize(id, update)),
    List: () => bound(() => backend.workspaces),
    Get: (id) => bound(() => backend.find(id)),
    Create: (input) => bound(() => backend.create(input)),
    Update: (id, update) => bound(() => backend.update(id, update)),
    Start: (id) => bound(() => backend.verb('start', id)),
    Stop: (id) => bound(() => backend.verb('stop', id)),
    Restart: (id) => bound(() => backend.verb('restart', id)),
    Keep: (id) => bound(() => backend.verb('keep', id)),
    Delete: (id, files) => bound(() => backend.delete(id, files)),
    Open: (id) => bound(() => `http://127.0.0.1/open/${backend.find(id).id}?server`),
    OpenExternal: () => bound(() => undefined),
    Usage: () => bound(() => backend.usage()),
    Volumes: () => bound(() => backend.volumes),
    DeleteVolume: (name) => bound(() => void backend.calls.push(`delete volume ${name}`)),
    VolumeUsage: () => bound(() => backend.usage()),
    Logs: (id, lines) =>
      bound(() => {
        backend.find(id);
        return `last ${lines} lines
`;
      }),
    FollowLogs: (name, id, lines) =>
      bound(() => {
        backend.find(id);
        const tell = (data: unknown): unknown => listeners.get(`lab:logs:${name}`)?.(data);
        const stream = { write: (text: string) => tell(text), end: () => tell({}) };
        streamOf.set(name, stream);
        backend.logFollowers.add(stream);
        stream.write(`last ${lines} lines\n`); // at once: the page listens before it calls
      }),
    StopLogs: (stream) =>
      bound(() => {
        const ended = streamOf.get(stream);
        if (ended !== undefined) backend.logFollowers.delete(ended);
      }),
    Subscribe: () => bound(() => void backend.follow((event) => listeners.get('lab:event')?.(event))),
    Rendered: (report) => bound(() => void backend.rendered.push(report)),
  };
  const runtime: DesktopRuntime = {
    EventsOn: (name, callback) => {
      listeners.set(name, callback);
      return () => listeners.delete(name);
    },
  };
  return { app, runtime };
}
