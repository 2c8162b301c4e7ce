import { useQuery } from '@tanstack/react-query';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { Host, Limit, Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { ActsWord } from '../../components/LimitWords';
import { Meter } from '../../components/Meter';
import { Ago } from '../../components/Time';
import { formatBytes, formatCpus, formatDate, formatExact, formatFiles, formatIdle, formatMB, formatNumber, gigabytes } from '../../model/format';
import { holdsResources, lastLinesOf } from '../../model/state';
import { StepList } from '../start/StepList';
import styles from './Overview.module.css';

/** Fields as people call them. */
const fieldNames: Record<string, string> = { shm: 'shared memory' };

export function Overview({ workspace, host }: { workspace: Workspace; host: Host | undefined }) {
  return (
    <div className={styles.columns}>
      <div className={styles.column}>
        {workspace.progress !== null && (workspace.status === 'pending' || lastLinesOf(workspace).length > 0) ? (
          <section aria-label="Start">
            <StepList progress={workspace.progress} />
          </section>
        ) : (
          host !== undefined && <Held workspace={workspace} host={host} />
        )}
        <Files workspace={workspace} />
      </div>
      <div className={styles.column}>
        {host !== undefined && <LimitsCard workspace={workspace} host={host} />}
        <About workspace={workspace} />
      </div>
    </div>
  );
}

function Held({ workspace, host }: { workspace: Workspace; host: Host }) {
  const held = holdsResources(workspace);
  const { cpus, memory } = workspace.compute;
  return (
    <section className="card">
      <h2>{held ? 'Holds of this machine' : 'Will hold of this machine'}</h2>
      <div className={styles.held}>
        <span>CPU</span>
        <span className="dim">
          {formatNumber(cpus)} of {formatCpus(host.cpus)}
        </span>
        <Meter held={cpus / host.cpus} />
        <span>Memory</span>
        <span className="dim">
          {gigabytes(memory)} of {formatMB(host.memory)}
        </span>
        <Meter held={memory / host.memory} />
      </div>
    </section>
  );
}

function Files({ workspace }: { workspace: Workspace }) {
  const client = useClient();
  const readOnly = useReadOnly();
  // Measuring walks all files, so it is done when somebody asks.
  const usage = useQuery({ queryKey: ['usage', workspace.id], queryFn: () => client.usage(workspace.id), enabled: false, retry: false });
  return (
    <section className="card">
      <h2>Files</h2>
      <p className={styles.files} aria-live="polite">
        {usage.data !== undefined && (
          <>
            <b>{formatBytes(usage.data.bytes)}</b> in {formatFiles(usage.data.files)}, measured <Ago time={usage.data.measured_at} />.{' '}
          </>
        )}
        {usage.isError && !usage.isFetching && <>{errorOf(usage.error).detail} </>}
        <button type="button" className={styles.measure} disabled={usage.isFetching || readOnly} onClick={() => void usage.refetch()}>
          {usage.isFetching ? 'Measuring …' : usage.data === undefined ? 'Measure' : 'Measure again'}
        </button>
      </p>
      <p className="small dim">They stay in their volume when the workspace stops{workspace.clear_volume_on_stop ? ', but this one is emptied then' : ''}.</p>
    </section>
  );
}

function LimitsCard({ workspace, host }: { workspace: Workspace; host: Host }) {
  const { compute, storage } = workspace;
  const rows: [string, string, Limit][] = [
    ['CPU', formatNumber(compute.cpus), host.limits.cpus],
    ['Memory', formatMB(compute.memory), host.limits.memory],
    ['Shared memory', formatMB(compute.shm), host.limits.shm],
    ['Processes', formatNumber(compute.processes), host.limits.processes],
    ['Files', formatMB(storage.volume_size), host.limits.volume_size],
    ['Container', formatMB(storage.container_size), host.limits.container_size],
    ['Idle', formatIdle(workspace.idle_timeout), host.limits.idle_timeout],
  ];
  return (
    <section className="card">
      <h2>Limits</h2>
      <dl className={styles.facts}>
        {rows.map(([name, value, limit]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {value} <ActsWord limit={limit} /> <span className="small dim">{limit.applies}</span>
            </dd>
          </div>
        ))}
      </dl>
      {workspace.pending_restart.length > 0 && (
        <p className={styles.pending}>Changed, acts from the next start on: {workspace.pending_restart.map((field) => fieldNames[field] ?? field).join(', ')}.</p>
      )}
    </section>
  );
}

function About({ workspace }: { workspace: Workspace }) {
  return (
    <section className="card">
      <h2>About</h2>
      <dl className={styles.facts}>
        <div>
          <dt>Image</dt>
          <dd className="mono">{workspace.container_image}</dd>
        </div>
        <div>
          <dt>Owner</dt>
          <dd>{workspace.owner}</dd>
        </div>
        <div>
          <dt>Volume</dt>
          <dd className="mono">{workspace.storage.volume}</dd>
        </div>
        <div>
          <dt>Created</dt>
          <dd title={formatExact(workspace.created_at)}>{formatDate(workspace.created_at)}</dd>
        </div>
      </dl>
    </section>
  );
}
