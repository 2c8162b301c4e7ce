// A real ML Lab of the tests' own, with this program installed in it as its administrators do. All of it goes when it ends.
import { execFileSync, spawnSync } from 'node:child_process';
import { binary, until } from './program';

const script = '../build/scripts/lab.sh';
const image = process.env.LAB_EXTENSION_IMAGE ?? 'lab-workspace-manager:latest';
// Somebody else's tests may have one on the same Docker.
const own = process.pid.toString(36);
const name = `lab-e2e-${own}`;
// It begins the names of networks that the lab joins, and comes after the lab's own: Docker sends a container's answers through the first by
// name, so that connections end when that becomes another one.
const namespace = `lab${own}`;
/** Coming up, with the backend's own patience. */
const patience = 150_000;

export class Lab {
  private constructor(readonly address: string) {}

  static up(): Lab {
    const text = run(script, ['up'], { LAB_NAME: name, LAB_NAMESPACE: namespace, LAB_PORT: '0' });
    return new Lab(addressIn(text));
  }

  /** The same lab below a path. Installed programs must be installed anew: the lab tells them where it is when they are made. */
  async moveTo(path: string): Promise<Lab> {
    const token = await this.tokenOf('admin', 'admin');
    docker('rm', '--force', extension);
    await fetch(`${this.address}/api/projects/ctxy-global/services/${extension}`, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } });
    run(script, ['restart-backend'], { LAB_NAME: name, LAB_NAMESPACE: namespace, CONTAXY_BASE_URL: path });
    const moved = new Lab(new URL(path, this.address).href);
    await moved.#answers();
    await moved.install();
    return moved;
  }

  /** The lab's page, in whose frame ours is shown. */
  get page(): string {
    return `${this.address}/app/`;
  }

  /** Where the lab serves our pages. */
  get ours(): string {
    return `${this.address}/projects/ctxy-global/services/${extension}/access/8080/app`;
  }

  async install(): Promise<void> {
    const token = await this.tokenOf('admin', 'admin');
    const limits = ['WORKSPACE_IMAGE_DEFAULT={"image":"lab-workspace-minimal:latest","display_name":"JupyterLab"}', 'WORKSPACE_MEMORY_MB_MAX=4000'];
    run(binary, ['register', '--lab', this.address, '--image', image, ...limits.flatMap((limit) => ['--param', limit])], { LAB_TOKEN: token });
  }

  async tokenOf(username: string, password: string): Promise<string> {
    const body = new URLSearchParams({ grant_type: 'password', username, password });
    const answer = await fetch(`${this.address}/api/auth/oauth/token`, { method: 'POST', body });
    return ((await answer.json()) as { access_token: string }).access_token;
  }

  async idOf(username: string): Promise<string> {
    const token = await this.tokenOf(username, 'password');
    const answer = await fetch(`${this.address}/api/users/me`, { headers: { Authorization: `Bearer ${token}` } });
    return ((await answer.json()) as { id: string }).id;
  }

  /** Ids of an owner's containers. */
  containersOf(owner: string): string[] {
    return lines(docker('ps', '--quiet', '--filter', `label=ctxy.projectName=${owner}`));
  }

  volumesOf(owner: string): string[] {
    return lines(docker('volume', 'ls', '--quiet', '--filter', `label=ctxy.projectName=${owner}`));
  }

  /** A file in the workspace that has an address. */
  read(address: string, path: string): string {
    const container = /\/services\/([\w-]+)\//.exec(address)?.[1] ?? '';
    return docker('exec', container, 'cat', path);
  }

  /** Bytes that the one container of an owner may use. */
  memoryOf(owner: string): number {
    return Number(docker('inspect', '--format', '{{.HostConfig.Memory}}', ...this.containersOf(owner)));
  }

  /** Has its front ask for the addresses of services anew: it believes one for ten minutes, and the next service of a name may have another. */
  forgetAddresses(): void {
    docker('exec', `${name}-backend`, 'nginx', '-s', 'reload');
  }

  /** Takes the lab's backend away, with the front through which everything is reached. */
  goAway(): void {
    docker('stop', '--time', '0', `${name}-backend`);
  }

  async comeBack(): Promise<void> {
    docker('start', `${name}-backend`);
    await this.#answers();
  }

  /** Connections that are kept open may be to one that is gone. */
  #answers(): Promise<void> {
    return until('the lab answers', async () => (await fetch(`${this.address}/api/system/info`)).ok);
  }

  static down(): void {
    run(script, ['down'], { LAB_NAME: name, LAB_NAMESPACE: namespace });
  }
}

const extension = `${namespace}-p-ctxy-global-s-workspaces`;

function run(command: string, args: string[], env: Record<string, string>): string {
  const done = spawnSync(command, args, { env: { ...process.env, ...env }, timeout: patience, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command} ${args[0] ?? ''}: ${done.stdout}\n${done.stderr}`);
  return done.stdout;
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8' });
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function addressIn(text: string): string {
  const found = /(http:\S+?)\/api(?![^\s])/.exec(text)?.[1];
  if (found === undefined) throw new Error(`The lab does not say where it is: ${text}`);
  return found;
}
