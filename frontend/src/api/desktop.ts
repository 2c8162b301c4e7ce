// The client of the window: bound methods of App for calls, events of Wails for what changes and for logs.
import { ApiError, errorOfBinding, isObject, type RenderedWorkspace, type WorkspaceClient } from './client';
import type { AuditEntry, Check, Config, Host, Image, LabEvent, Limits, Overview, Profile, Proposal, Quota, Setting, Usage, User, Volume, Workspace, WorkspaceInput, WorkspaceUpdate } from './types';

/** The methods of App (app.go) as Wails binds them. */
export interface DesktopApp {
  Me: () => Promise<User>;
  Config: () => Promise<Config>;
  Host: () => Promise<Host>;
  Images: () => Promise<Image[]>;
  Quota: () => Promise<Quota>;
  Limits: (profile: string) => Promise<Limits>;
  Profiles: () => Promise<Profile[]>;
  DetectImage: (image: string) => Promise<Proposal>;
  List: () => Promise<Workspace[]>;
  Get: (id: string) => Promise<Workspace>;
  Create: (input: WorkspaceInput) => Promise<Workspace>;
  Update: (id: string, update: WorkspaceUpdate) => Promise<Workspace>;
  Check: (input: WorkspaceInput) => Promise<Check>;
  CheckUpdate: (id: string, update: WorkspaceUpdate) => Promise<Check>;
  Extend: (id: string, seconds: number) => Promise<Workspace>;
  Start: (id: string) => Promise<void>;
  Stop: (id: string) => Promise<void>;
  Restart: (id: string) => Promise<void>;
  Keep: (id: string) => Promise<void>;
  Delete: (id: string, deleteVolumes: boolean) => Promise<void>;
  Open: (id: string) => Promise<string>;
  OpenExternal: (address: string) => Promise<void>;
  Usage: (id: string) => Promise<Usage>;
  Volumes: () => Promise<Volume[]>;
  DeleteVolume: (name: string) => Promise<void>;
  VolumeUsage: (name: string) => Promise<Usage>;
  Logs: (id: string, lines: number) => Promise<string>;
  FollowLogs: (stream: string, id: string, lines: number) => Promise<void>;
  StopLogs: (stream: string) => Promise<void>;
  AdminOverview: () => Promise<Overview>;
  AdminAudit: () => Promise<AuditEntry[]>;
  AdminConfig: () => Promise<Setting[]>;
  AdminStop: (id: string, reason: string) => Promise<void>;
  AdminCheck: (id: string, update: WorkspaceUpdate) => Promise<Check>;
  AdminResize: (id: string, update: WorkspaceUpdate) => Promise<Workspace>;
  Subscribe: () => Promise<void>;
  Rendered: (report: { route: string; workspaces: RenderedWorkspace[] }) => Promise<void>;
}

export interface DesktopRuntime {
  /** Returns how to stop listening. */
  EventsOn: (name: string, callback: (data: unknown) => void) => () => void;
}

declare global {
  interface Window {
    go?: { main?: { App?: DesktopApp } };
    runtime?: DesktopRuntime;
  }
}

export function createDesktopClient(app: DesktopApp, runtime: DesktopRuntime): WorkspaceClient {
  return {
    kind: 'desktop',
    me: () => call(app.Me()),
    person: () => Promise.reject(new ApiError(0, 'forbidden', 'You may only see and change your own workspaces.')),
    actingFor: () => {
      throw new Error('The window acts for nobody else.');
    },
    login: () => Promise.reject(new ApiError(0, 'invalid', 'Nobody needs to log in to the window.')),
    config: () => call(app.Config()),
    host: () => call(app.Host()),
    images: () => call(app.Images()),
    quota: () => call(app.Quota()),
    limits: (profile) => call(app.Limits(profile)),
    profiles: () => call(app.Profiles()),
    detectImage: (image) => call(app.DetectImage(image)),

    list: () => call(app.List()),
    get: (id) => call(app.Get(id)),
    create: (input) => call(app.Create(input)),
    update: (id, update) => call(app.Update(id, update)),
    check: (input) => call(app.Check(input)),
    checkUpdate: (id, update) => call(app.CheckUpdate(id, update)),
    extend: (id, seconds = 0) => call(app.Extend(id, seconds)),
    start: (id) => call(app.Start(id)),
    stop: (id) => call(app.Stop(id)),
    restart: (id) => call(app.Restart(id)),
    keep: (id) => call(app.Keep(id)),
    delete: (id, deleteFiles) => call(app.Delete(id, deleteFiles)),
    open: (id) => call(app.Open(id)),
    usage: (id) => call(app.Usage(id)),

    logs: (id, lines) => call(app.Logs(id, lines)),
    followLogs: (id, lines, listener) => {
      const stream = nextStream();
      const unlisten = runtime.EventsOn(`lab:logs:${stream}`, (data) => {
        if (typeof data === 'string') {
          listener.onText(data);
          return;
        }
        unlisten();
        const error = isObject(data) ? data.error : undefined;
        if (error === undefined) listener.onEnd();
        else listener.onEnd(errorOfBinding(error));
      });
      app.FollowLogs(stream, id, lines).then(() => listener.onOpen?.()).catch((reason: unknown) => {
        unlisten();
        listener.onEnd(errorOfBinding(reason));
      });
      return () => {
        unlisten();
        void app.StopLogs(stream);
      };
    },

    volumes: () => call(app.Volumes()),
    deleteVolume: (name) => call(app.DeleteVolume(name)),
    volumeUsage: (name) => call(app.VolumeUsage(name)),

    adminOverview: () => call(app.AdminOverview()),
    adminAudit: () => call(app.AdminAudit()),
    adminConfig: () => call(app.AdminConfig()),
    adminStop: (id, reason) => call(app.AdminStop(id, reason)),
    adminCheck: (id, update) => call(app.AdminCheck(id, update)),
    adminResize: (id, update) => call(app.AdminResize(id, update)),

    subscribe: (listener) => {
      const unlisten = runtime.EventsOn('lab:event', (event) => {
        if (!isObject(event)) return;
        listener.onConnection(true);
        listener.onEvent(event as LabEvent);
      });
      void app.Subscribe();
      return unlisten;
    },
    reportRendered: (route, workspaces) => void app.Rendered({ route, workspaces }),
    openExternal: (address) => void app.OpenExternal(address),
  };
}

let streams = 0;

/** A name that no other page of this window has chosen, one before a reload included. */
function nextStream(): string {
  streams += 1;
  return `${Date.now().toString(36)}-${streams}`;
}

async function call<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (reason) {
    throw errorOfBinding(reason);
  }
}
