import type { Host, Workspace } from '../../api/types';
import { Meter } from '../../components/Meter';
import { formatNumber, gigabytes } from '../../model/format';
import { holdsResources } from '../../model/state';
import styles from './Totals.module.css';

/** What the limits of running workspaces hold of the machine. */
export function Totals({ workspaces, host }: { workspaces: Workspace[]; host: Host | undefined }) {
  const unknown = host?.reachable === false;
  const running = workspaces.filter(holdsResources);
  const cpus = sum(running, (workspace) => workspace.compute.cpus);
  const memory = sum(running, (workspace) => workspace.compute.memory);
  return (
    <dl className={styles.totals}>
      <Total name="Running" value={unknown ? '–' : formatNumber(running.length)} rest={`of ${formatNumber(workspaces.length)}`} share={workspaces.length === 0 ? 0 : running.length / workspaces.length} solid />
      <Total name="CPU" value={unknown ? '–' : formatNumber(cpus)} rest={host === undefined ? 'held' : `held of ${formatNumber(host.cpus)}`} share={host === undefined ? 0 : cpus / host.cpus} />
      <Total name="Memory" value={unknown ? '–' : gigabytes(memory)} rest={host === undefined ? 'GB held' : `held of ${gigabytes(host.memory)} GB`} share={host === undefined ? 0 : memory / host.memory} />
    </dl>
  );
}

function sum(workspaces: Workspace[], value: (workspace: Workspace) => number): number {
  return workspaces.reduce((total, workspace) => total + value(workspace), 0);
}

function Total({ name, value, rest, share, solid = false }: { name: string; value: string; rest: string; share: number; solid?: boolean }) {
  return (
    <div className={styles.total}>
      <dt className="small dim">{name}</dt>
      <dd>
        <b>{value}</b> <span className="dim">{rest}</span>
        <div className={styles.meter}>
          {/* More than there is can be held by limits; that deserves a second look. */}
          <Meter {...(solid ? { used: share } : { held: share })} tone={!solid && share > 1 ? 'warn' : 'use'} />
        </div>
      </dd>
    </div>
  );
}
