// The one interface above which everything is the same code in the browser and in the window.
import type {
  Address,
  AuditEntry,
  Check,
  Config,
  Host,
  Image,
  LabEvent,
  Limits,
  Overview,
  Person,
  Problem,
  Profile,
  Proposal,
  Quota,
  Setting,
  Usage,
  User,
  Volume,
  Workspace,
  WorkspaceInput,
  WorkspaceUpdate,
} from './types';

export interface Listener {
  onEvent: (event: LabEvent) => void;
  /** Tells whether events arrive; called at every change. */
  onConnection: (connected: boolean) => void;
}

export interface LogListener {
  /** The log is there, even if nothing was written yet. */
  onOpen?: () => void;
  onText: (text: string) => void;
  /** The log has ended; with an error when it was not its own end. */
  onEnd: (error?: ApiError) => void;
}

export interface RenderedWorkspace {
  id: string;
  name: string;
  state: string;
}

export interface WorkspaceClient {
  readonly kind: 'http' | 'desktop';

  me: () => Promise<User>;
  /** Who somebody is for whom one may act; refused for everybody else. */
  person: (id: string) => Promise<Person>;
  /** The same, but about the workspaces of somebody for whom one may act. */
  actingFor: (owner: string) => WorkspaceClient;
  /** Makes a session of the owner's token. */
  login: (token: string) => Promise<void>;
  config: () => Promise<Config>;
  host: () => Promise<Host>;
  images: () => Promise<Image[]>;
  /** What may be had, and what is taken. */
  quota: () => Promise<Quota>;
  /** The limits of one workspace with an image of a profile; "" = of no certain one. */
  limits: (profile: string) => Promise<Limits>;
  profiles: () => Promise<Profile[]>;
  /** What kind of image it seems to be. The signal calls the question off. */
  detectImage: (image: string, signal?: AbortSignal) => Promise<Proposal>;

  list: () => Promise<Workspace[]>;
  get: (id: string) => Promise<Workspace>;
  create: (input: WorkspaceInput) => Promise<Workspace>;
  update: (id: string, update: WorkspaceUpdate) => Promise<Workspace>;
  /** Says what would become of a new workspace; changes nothing. */
  check: (input: WorkspaceInput, signal?: AbortSignal) => Promise<Check>;
  /** Says what would become of a change. */
  checkUpdate: (id: string, update: WorkspaceUpdate, signal?: AbortSignal) => Promise<Check>;
  /** Keeps it from being stopped for being unused; for its idle timeout once more when no seconds are given. */
  extend: (id: string, seconds?: number) => Promise<Workspace>;
  start: (id: string) => Promise<void>;
  /** Stops it, or calls its start off. */
  stop: (id: string) => Promise<void>;
  restart: (id: string) => Promise<void>;
  /** Takes its deletion back, while its files cannot be deleted. */
  keep: (id: string) => Promise<void>;
  /** Answers when it is gone. Its files stay unless deleteFiles. */
  delete: (id: string, deleteFiles: boolean) => Promise<void>;
  /** Returns a one-time address. In the window it has then been opened in the system's browser already. */
  open: (id: string, address?: Address) => Promise<string>;
  /** Measures its files, which can take seconds. */
  usage: (id: string) => Promise<Usage>;

  logs: (id: string, lines: number) => Promise<string>;
  /** Sends the last lines and what comes; returns how to end it. */
  followLogs: (id: string, lines: number, listener: LogListener) => () => void;

  volumes: () => Promise<Volume[]>;
  deleteVolume: (name: string) => Promise<void>;
  volumeUsage: (name: string) => Promise<Usage>;

  adminOverview: () => Promise<Overview>;
  /** What administrators did, the newest first. */
  adminAudit: () => Promise<AuditEntry[]>;
  adminConfig: () => Promise<Setting[]>;
  /** Stops anybody's workspace; the reason is shown to its owner. */
  adminStop: (id: string, reason: string) => Promise<void>;
  /** Says what would become of a change of anybody's workspace. */
  adminCheck: (id: string, update: WorkspaceUpdate, signal?: AbortSignal) => Promise<Check>;
  adminResize: (id: string, update: WorkspaceUpdate) => Promise<Workspace>;

  /** Sends a snapshot and then every change, across broken connections; returns how to end it. */
  subscribe: (listener: Listener) => () => void;
  /** Tells what a page shows; only the window's smoke test listens. */
  reportRendered: (route: string, rows: RenderedWorkspace[]) => void;
  openExternal: (address: string) => void;
}

/** Everything that goes wrong with a call, in the words that people are shown. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  /** The lab lets nobody through who is not logged in there. */
  static notLetIn(): ApiError {
    return new ApiError(401, 'unauthenticated', 'ML Lab does not let you in.', 'Log in to ML Lab, then load this page again.');
  }

  constructor(
    /** The HTTP status; 0 when nobody answered, and in the window. */
    readonly status: number,
    /** The kind of error, for programs. */
    readonly code: string,
    /** One sentence for people. */
    readonly detail: string,
    /** What to do about it; may be empty. */
    readonly hint = '',
    /** What is wrong with single fields, by their paths ("compute.cpus"). */
    readonly fields: Readonly<Record<string, string>> = {},
  ) {
    super(hint === '' ? detail : `${detail} ${hint}`);
  }

  /** throughLab: that nobody answers means that the lab does not. */
  static notReached(throughLab = false): ApiError {
    if (throughLab) return new ApiError(0, 'unreachable', 'ML Lab does not answer.', 'Workspaces go on; this page does too, as soon as the lab is back.');
    return new ApiError(0, 'unreachable', 'The workspace manager does not answer.', 'It may be restarting; this page goes on by itself.');
  }
}

/** What the lab's proxy answers with to who is not logged in, or may not come here: anything but a problem of ours. */
export function isRefusalOfProxy(status: number, body: unknown): boolean {
  return (status === 401 || status === 403 || status === 500) && !(isObject(body) && typeof body.detail === 'string');
}

/** Turns the body of an HTTP error into an ApiError; proxies in between answer with anything. */
export function errorOfProblem(status: number, body: unknown): ApiError {
  const problem: Partial<Problem> = isObject(body) ? body : {};
  const fields: Record<string, string> = {};
  for (const field of problem.errors ?? []) {
    fields[field.location.replace(/^body\./, '')] = field.message;
  }
  const detail = typeof problem.detail === 'string' && problem.detail !== '' ? problem.detail : sentenceOfStatus(status);
  return new ApiError(status, problem.code ?? codeOfStatus(status), detail, problem.hint ?? '', fields);
}

/** Turns what a bound method of the window rejects with into an ApiError. */
export function errorOfBinding(reason: unknown): ApiError {
  if (reason instanceof ApiError) return reason;
  if (isObject(reason) && typeof reason.detail === 'string') {
    const code = typeof reason.code === 'string' ? reason.code : 'internal';
    const fields = typeof reason.field === 'string' ? { [reason.field]: reason.detail } : {};
    return new ApiError(0, code, reason.detail, typeof reason.hint === 'string' ? reason.hint : '', fields);
  }
  return new ApiError(0, 'internal', typeof reason === 'string' && reason !== '' ? reason : 'Something went wrong inside the workspace manager.');
}

/** Any thrown value as an ApiError, for places that show errors. */
export function errorOf(thrown: unknown): ApiError {
  return errorOfBinding(thrown instanceof Error && !(thrown instanceof ApiError) ? undefined : thrown);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function sentenceOfStatus(status: number): string {
  if (status === 502 || status === 503 || status === 504) return 'The workspace manager cannot be reached at the moment.';
  if (status === 401) return 'You are not logged in.';
  return `The workspace manager answered with status ${status} and no reason.`;
}

function codeOfStatus(status: number): string {
  const codes: Record<number, string> = { 401: 'unauthenticated', 403: 'forbidden', 404: 'not_found', 409: 'conflict', 502: 'unavailable', 503: 'unavailable', 504: 'timeout' };
  return codes[status] ?? 'internal';
}
