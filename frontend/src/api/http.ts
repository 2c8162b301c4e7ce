// The client of the browser: HTTP for calls, one WebSocket for events, a streamed answer for each log.
import { backoff } from './backoff';
import { ApiError, errorOfProblem, isRefusalOfProxy, type Listener, type LogListener, type WorkspaceClient } from './client';
import { labPageOf } from '../model/lab';
import type { Address, AuditEntry, Check, Config, Host, Image, LabEvent, Limits, Link, Overview, Person, Profile, Proposal, Quota, Setting, Usage, User, Volume, Workspace } from './types';

/** The API is found beside the folder of the pages, below whatever prefix they are served. */
export function apiBesidePage(documentBase: string): URL {
  return new URL('../api/', documentBase);
}

/** How long a call may take before nobody seems to be there, in ms; and one that waits for containers or walks files: a lab gets images meanwhile. */
const shortPatience = 15_000;
const longPatience = 600_000;
/** The server says every 10 s that it lives; after so many ms without a word it does not. */
const silence = 25_000;

/** acting: for whom the calls are made, if not for oneself. */
export function createHttpClient(base: URL, acting?: string): WorkspaceClient {
  let owner: Promise<User> | undefined;
  const labPage = labPageOf(base.href);

  /** Why nothing of ours has answered. The lab's proxy hangs up on who is not logged in, or says something of its own. */
  async function unanswered(): Promise<ApiError> {
    if (labPage === undefined) return ApiError.notReached();
    return (await labAnswers(labPage)) ? ApiError.notLetIn() : ApiError.notReached(true);
  }

  async function request(path: string, init: RequestInit = {}, patience = shortPatience): Promise<Response> {
    let response: Response;
    try {
      const signal = init.signal ?? AbortSignal.timeout(patience);
      // "images:detect" alone would be read as an address of its own.
      response = await fetch(new URL(`./${path}`, base), { credentials: 'same-origin', ...init, signal });
    } catch (cause) {
      if (init.signal?.aborted === true && !isTimeout(cause)) throw cause;
      throw await unanswered();
    }
    if (!response.ok) {
      const body = await bodyOf(response);
      throw labPage !== undefined && isRefusalOfProxy(response.status, body) ? await unanswered() : errorOfProblem(response.status, body);
    }
    return response;
  }

  /** What is asked about somebody, where the path does not say about whom. */
  function about(path: string): string {
    return acting === undefined ? path : `${path}${path.includes('?') ? '&' : '?'}user=${encodeURIComponent(acting)}`;
  }

  async function getJson<T>(path: string, patience?: number): Promise<T> {
    return (await (await request(path, {}, patience)).json()) as T;
  }

  /** A question that the next one makes pointless. */
  function asking(signal: AbortSignal | undefined): RequestInit {
    return signal === undefined ? {} : { signal: AbortSignal.any([signal, AbortSignal.timeout(shortPatience)]) };
  }

  async function send(method: string, path: string, body?: unknown, patience?: number, more: RequestInit = {}): Promise<Response> {
    const init = { ...more, method, ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }) };
    return request(path, init, patience);
  }

  function me(): Promise<User> {
    owner ??= getJson<User>('users/me').catch((error: unknown) => {
      owner = undefined;
      throw error;
    });
    return owner;
  }

  async function home(): Promise<string> {
    return `users/${encodeURIComponent(acting ?? (await me()).id)}`;
  }

  /** Something that may have to wait for a container to end. */
  async function call(method: string, path: string): Promise<void> {
    await send(method, path, undefined, longPatience);
  }

  async function workspace(id: string, verb = ''): Promise<string> {
    return `${await home()}/workspace/${encodeURIComponent(id)}${verb}`;
  }

  async function volume(name: string, verb = ''): Promise<string> {
    return `${await home()}/volumes/${encodeURIComponent(name)}${verb}`;
  }

  return {
    kind: 'http',
    me: () => {
      owner = undefined; // who asks wants to know whether the session still holds
      return me();
    },
    person: (id) => getJson<Person>(`users/${encodeURIComponent(id)}`),
    actingFor: (other) => createHttpClient(base, other),
    login: async (token) => {
      await send('POST', 'login', { token });
      owner = undefined;
    },
    config: () => getJson<Config>('config'),
    host: () => getJson<Host>(about('host')),
    images: () => getJson<Image[]>('images'),
    quota: () => getJson<Quota>(about('quota')),
    limits: (profile) => getJson<Limits>(about(`limits?profile=${encodeURIComponent(profile)}`)),
    profiles: () => getJson<Profile[]>('profiles'),
    detectImage: async (image, signal) => (await (await request(`images:detect?image=${encodeURIComponent(image)}`, asking(signal))).json()) as Proposal,

    list: async () => getJson<Workspace[]>(`${await home()}/workspace`),
    get: async (id) => getJson<Workspace>(await workspace(id)),
    create: async (input) => (await (await send('POST', `${await home()}/workspace`, input)).json()) as Workspace,
    update: async (id, update) => (await (await send('PATCH', await workspace(id), update)).json()) as Workspace,
    check: async (input, signal) => (await (await send('POST', `${await home()}/workspace:check`, input, undefined, asking(signal))).json()) as Check,
    checkUpdate: async (id, update, signal) => (await (await send('POST', await workspace(id, ':check'), update, undefined, asking(signal))).json()) as Check,
    extend: async (id, seconds) => (await (await send('POST', await workspace(id, ':extend'), seconds === undefined ? {} : { seconds })).json()) as Workspace,
    start: async (id) => call('POST', await workspace(id, ':start')),
    stop: async (id) => call('POST', await workspace(id, ':stop')),
    restart: async (id) => call('POST', await workspace(id, ':restart')),
    keep: async (id) => call('POST', await workspace(id, ':keep')),
    delete: async (id, deleteFiles) => call('DELETE', `${await workspace(id)}?delete_volumes=${String(deleteFiles)}`),
    open: async (id, address?: Address) => {
      const answer = await send('POST', await workspace(id, ':open'), address === undefined ? {} : { address });
      return new URL(((await answer.json()) as Link).url, base).href; // in a lab it is a path of the lab's
    },
    usage: async (id) => getJson<Usage>(await workspace(id, ':usage'), longPatience),

    logs: async (id, lines) => (await request(`${await workspace(id, ':logs')}?lines=${lines}`)).text(),
    followLogs: (id, lines, listener) => {
      const ended = new AbortController();
      void readStream(async () => request(`${await workspace(id, ':logs')}?lines=${lines}&follow=true`, { signal: ended.signal }), ended.signal, listener);
      return () => ended.abort();
    },

    volumes: async () => getJson<Volume[]>(`${await home()}/volumes`),
    deleteVolume: async (name) => call('DELETE', await volume(name)),
    volumeUsage: async (name) => getJson<Usage>(await volume(name, ':usage'), longPatience),

    adminOverview: () => getJson<Overview>('admin/overview'),
    adminAudit: () => getJson<AuditEntry[]>('admin/audit'),
    adminConfig: () => getJson<Setting[]>('admin/config'),
    adminStop: async (id, reason) => {
      await send('POST', `admin/workspaces/${encodeURIComponent(id)}:stop`, { reason }, longPatience);
    },
    adminCheck: async (id, update, signal) =>
      (await (await send('POST', `admin/workspaces/${encodeURIComponent(id)}:check`, update, undefined, asking(signal))).json()) as Check,
    adminResize: async (id, update) => (await (await send('PATCH', `admin/workspaces/${encodeURIComponent(id)}`, update)).json()) as Workspace,

    subscribe: (listener) => subscribe(new URL(about('events'), base), listener),
    reportRendered: () => undefined,
    openExternal: (address) => void window.open(address, '_blank', 'noopener'),
  };
}

/** Asks the lab something that it tells everybody. */
async function labAnswers(labPage: string): Promise<boolean> {
  try {
    return (await fetch(labPage.replace(/app$/, 'api/system/info'), { cache: 'no-store', signal: AbortSignal.timeout(shortPatience) })).ok;
  } catch {
    return false;
  }
}

function isTimeout(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'TimeoutError';
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined; // a proxy in between answers with a page of its own
  }
}

async function readStream(open: () => Promise<Response>, signal: AbortSignal, listener: LogListener): Promise<void> {
  try {
    const answer = await open();
    listener.onOpen?.();
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const part = await reader?.read();
      if (signal.aborted) return;
      if (part === undefined || part.done) break;
      listener.onText(part.value);
    }
    listener.onEnd();
  } catch (error) {
    if (!signal.aborted) listener.onEnd(error instanceof ApiError ? error : ApiError.notReached());
  }
}

function subscribe(address: URL, listener: Listener): () => void {
  address.protocol = address.protocol.replace('http', 'ws');
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let heardAt = 0;
  let tries = 0;
  let connected = false;
  let ended = false;
  let lose = (): void => undefined;

  function tell(now: boolean): void {
    if (now === connected) return;
    connected = now;
    listener.onConnection(now);
  }

  function connect(): void {
    clearTimeout(timer);
    const current = new WebSocket(address);
    socket = current;
    heardAt = Date.now();
    current.onmessage = (message) => {
      const event = ended ? undefined : parseEvent(message.data);
      if (event === undefined) return;
      // Only a message proves that the server accepts us: proxies accept connections for servers that do not answer.
      tries = 0;
      heardAt = Date.now();
      tell(true);
      if (event.type !== 'alive') listener.onEvent(event);
    };
    current.onclose = lose = () => {
      if (ended || socket !== current) return;
      socket = undefined;
      current.close();
      tell(false);
      timer = setTimeout(connect, backoff(tries));
      tries += 1;
    };
  }

  /** A connection that says nothing is none: closing it properly would wait for the other side. */
  function listen(): void {
    if (Date.now() - heardAt > silence) lose();
  }

  function connectNow(): void {
    if (!connected && !ended && socket?.readyState !== WebSocket.CONNECTING) connect();
  }

  connect();
  // A laptop that wakes up should not wait for the next try.
  window.addEventListener('online', connectNow);
  window.addEventListener('visibilitychange', listen);
  const watch = setInterval(listen, 5_000);
  return () => {
    ended = true;
    clearTimeout(timer);
    clearInterval(watch);
    window.removeEventListener('visibilitychange', listen);
    window.removeEventListener('online', connectNow);
    socket?.close();
  };
}

function parseEvent(data: unknown): LabEvent | undefined {
  if (typeof data !== 'string' || data === '') return undefined;
  try {
    return JSON.parse(data) as LabEvent;
  } catch {
    return undefined;
  }
}
