// What goes over the wire, by the names that the pages use. The shapes come from Go (schema.gen.ts, `npm run api`); only
// what OpenAPI cannot say is narrowed here.
import type { components } from './schema.gen';

type Schemas = components['schemas'];

export type Action = 'open' | 'start' | 'stop' | 'restart' | 'update' | 'delete' | 'keep' | 'cancel';
export type Status = Schemas['Workspace']['status'];

export interface Workspace extends Omit<Schemas['Workspace'], 'actions' | 'idle' | 'idle_timeout' | 'progress'> {
  actions: Action[];
  /** Seconds; answers always carry the number. */
  idle_timeout: number;
  /** null while it does not run or has no idle timeout. */
  idle: Idle | null;
  /** null unless a start goes on or has failed. */
  progress: Progress | null;
}

export type Progress = Schemas['Progress'];
export type Step = Schemas['Step'];
export type Idle = Schemas['Idle'];
export type Storage = Schemas['Storage'];
export type Volume = Schemas['Volume'];
export type Image = Schemas['Image'];
export type Host = Schemas['Host'];
export type Limit = Schemas['Limit'];
export type Limits = Schemas['Limits'];
export type Config = Schemas['Config'];
export type Usage = Schemas['Usage'];
export type User = Schemas['User'];
/** Whose workspaces are shown. */
export type Person = Schemas['Person'];
export type Link = Schemas['Link'];
export type Amount = Schemas['Amount'];
export type Quota = Schemas['Quota'];
export type QuotaLine = Schemas['QuotaLine'];
export type Check = Schemas['Check'];
export type Proposal = Schemas['Proposal'];
export type Profile = Schemas['Profile'];
/** What a running workspace uses now. */
export type Use = Schemas['Use'];
export type Overview = Omit<Schemas['Overview'], 'workspaces'> & { workspaces: Workspace[] };
export type AdminUser = Schemas['AdminUser'];
export type Gpu = Schemas['GPU'];
export type AuditEntry = Schemas['AuditEntry'];
export type Setting = Schemas['Setting'];
export type ConfigStatus = Schemas['ConfigStatus'];
export type Problem = Schemas['Problem'];
export type WorkspaceInput = Schemas['WorkspaceInput'];
export type WorkspaceUpdate = Schemas['WorkspaceUpdate'];

/** How a browser reaches a workspace; left out, the server chooses. */
export type Address = 'host' | 'loopback';

export type LabEvent =
  | { seq: number; type: 'snapshot'; workspaces: Workspace[]; volumes: Volume[]; host: Host; quota: Quota }
  | { seq: number; type: 'workspace'; workspace: Workspace }
  | { seq: number; type: 'workspace_removed'; id: string; owner: string; reason?: string }
  | { seq: number; type: 'volumes'; volumes: Volume[] }
  | { seq: number; type: 'host'; host: Host }
  | { seq: number; type: 'quota'; quota: Quota }
  /** What runs uses so much now; every two seconds while somebody looks. */
  | { seq: number; type: 'use'; use: Use[] }
  /** Nothing has happened; the server lives. */
  | { seq: number; type: 'alive' };
