// A running program of the tests' own: its own state, its own ports. Everything it made in Docker goes when it ends.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Volume, Workspace, WorkspaceInput } from '../src/api/types';

export const binary = process.env.LAB_BINARY ?? '../build/bin/lab-workspace-manager-headless';
const patience = 30_000;

export class Program {
  readonly port: number;
  readonly token: string;
  readonly link: string;
  #output: () => string;
  #process: ChildProcess;
  #home: string;

  private constructor(process: ChildProcess, home: string, port: number, output: () => string) {
    this.#process = process;
    this.#home = home;
    this.#output = output;
    this.port = port;
    this.token = readFileSync(join(home, 'state/lab-workspace-manager/token'), 'utf8').trim();
    this.link = /http:\S+\/enter\?code=\S+/.exec(output())?.[0] ?? '';
  }

  static async start(config = ''): Promise<Program> {
    const home = mkdtempSync(join(tmpdir(), 'lab-e2e-'));
    const port = await freePort();
    const file = join(home, 'config.toml');
    writeFileSync(file, config);
    const child = spawn(binary, ['--serve', '--config', file], {
      env: {
        ...process.env,
        PORT: String(port),
        XDG_STATE_HOME: join(home, 'state'),
        XDG_CONFIG_HOME: join(home, 'config'),
        XDG_CACHE_HOME: join(home, 'cache'),
        XDG_RUNTIME_DIR: join(home, 'run'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const hear = (part: Buffer): void => void (output += part.toString());
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    await until('the program answers', async () => {
      if (child.exitCode !== null) throw new Error(`The program ended: ${output}`);
      return /\/enter\?code=/.test(output) && (await fetch(`http://127.0.0.1:${port}/api/ping`)).ok;
    });
    const program = new Program(child, home, port, () => output);
    await until('the engine is connected', async () => (await program.api<{ reachable: boolean }>('GET', 'host')).reachable);
    return program;
  }

  get output(): string {
    return this.#output();
  }

  get page(): string {
    return `http://127.0.0.1:${this.port}/app/`;
  }

  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async #mine(): Promise<string> {
    return `users/${(await this.api<{ id: string }>('GET', 'users/me')).id}`;
  }

  async workspaces(): Promise<Workspace[]> {
    return this.api('GET', `${await this.#mine()}/workspace`);
  }

  async create(input: WorkspaceInput): Promise<Workspace> {
    return this.api('POST', `${await this.#mine()}/workspace`, input);
  }

  async reach(name: string, status: string): Promise<Workspace> {
    let found: Workspace | undefined;
    await until(`${name} is ${status}`, async () => {
      found = (await this.workspaces()).find((workspace) => workspace.display_name === name);
      return found?.status === status;
    });
    return found as unknown as Workspace;
  }

  /** Deletes every workspace and every volume. */
  async clear(): Promise<void> {
    const mine = await this.#mine();
    for (const workspace of await this.workspaces()) {
      await this.api('DELETE', `${mine}/workspace/${workspace.id}?delete_volumes=true`);
    }
    for (const volume of await this.api<Volume[]>('GET', `${mine}/volumes`)) {
      await this.api('DELETE', `${mine}/volumes/${volume.name}`);
    }
  }

  async end(): Promise<void> {
    await this.clear();
    await until('nothing is left in Docker', () => Promise.resolve(leftInDocker(this.output).length === 0));
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await ended;
    rmSync(this.#home, { recursive: true, force: true });
  }
}

/** What the program has made in Docker and not removed. */
function leftInDocker(output: string): string[] {
  const instance = /\bstate=(\w+)/.exec(output)?.[1];
  if (instance === undefined) throw new Error('The program did not say which instance it is.');
  const filter = `label=lab-workspace-manager.instance=${instance}`;
  return ['container ls --all', 'volume ls', 'network ls'].flatMap((list) =>
    execFileSync('docker', [...list.split(' '), '--quiet', '--filter', filter]).toString().split('\n').filter((name) => name !== ''),
  );
}

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patience;
  let last: unknown;
  for (;;) {
    try {
      if (await holds()) return;
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('The program ended')) throw error;
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`Waited in vain: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
