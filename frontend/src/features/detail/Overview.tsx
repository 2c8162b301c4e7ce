import { useQuery } from '@tanstack/react-query';
import { Fragment } from 'react';
import { queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { Host, Limit, Use, Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { ActsWord } from '../../components/LimitWords';
import { Meter } from '../../components/Meter';
import { Ago } from '../../components/Time';
import { useWhose } from '../../components/user';
import { nearlyFull, usedOf } from '../../model/amounts';
import { formatBytes, formatCpus, formatDate, formatExact, formatFiles, formatIdle, formatMB, formatNumber, gigabytes } from '../../model/format';
import { namesOf } from '../../model/rowLine';
import { holdsResources, lastLinesOf } from '../../model/state';
import { StepList } from '../start/StepList';
import styles from './Overview.module.css';

export function Overview({ workspace, host }: { workspace: Workspace; host: Host | undefined }) {
  // Where nobody looks at what is used, the limits are what there is to say.
  const uses = host?.can.stats !== false;
  return (
    <div className={styles.columns}>
      <div className={styles.column}>
        {workspace.progress !== null && (workspace.status === 'pending' || lastLinesOf(workspace).length > 0) ? (
          <section aria-label="Start">
            <StepList progress={workspace.progress} />
          </section>
        ) : (
          host !== undefined && uses && <Held workspace={workspace} host={host} />
        )}
        {host !== undefined && !uses && <LimitsCard workspace={workspace} host={host} />}
        <Files workspace={workspace} measured={host?.can.measure !== false} />
      </div>
      <div className={styles.column}>
        {host !== undefined && uses && <LimitsCard workspace={workspace} host={host} />}
        <About workspace={workspace} />
      </div>
    </div>
  );
}

/** What it uses now of its limits; what does not run shows what it will hold. */
function Held({ workspace, host }: { workspace: Workspace; host: Host }) {
  const { data: use } = useQuery({ ...queries.use, select: (uses: Use[]) => uses.find((one) => one.id === workspace.id) });
  const held = holdsResources(workspace);
  const { cpus, memory } = workspace.compute;
  const rows: { name: string; used: number | null | undefined; whole: number; unit: string; machine: string }[] = [
    { name: 'CPU', used: use?.cpus, whole: cpus, unit: 'CPUs', machine: `${formatNumber(cpus)} of ${formatCpus(host.cpus)}` },
    { name: 'Memory', used: use?.memory, whole: memory, unit: 'MB', machine: `${gigabytes(memory)} of ${formatMB(host.memory)}` },
  ];
  return (
    <section className="card">
      <h2>{held ? 'Uses now' : 'Will hold of this machine'}</h2>
      <div className={`numbers ${styles.held}`}>
        {rows.map(({ name, used, whole, unit, machine }) => {
          const text = held && used !== null && used !== undefined ? usedOf(used, whole, unit) : undefined;
          const share = held ? (used ?? 0) / whole : undefined;
          return (
            <Fragment key={name}>
              <span>{name}</span>
              <span className="dim">{text !== undefined ? `${text.value} ${text.rest}` : machine}</span>
              {share === undefined ? <Meter held={unit === 'MB' ? memory / host.memory : cpus / host.cpus} /> : <Meter used={share} tone={unit === 'MB' && share >= nearlyFull ? 'warn' : 'use'} />}
            </Fragment>
          );
        })}
      </div>
    </section>
  );
}

function Files({ workspace, measured }: { workspace: Workspace; measured: boolean }) {
  const client = useClient();
  const readOnly = useReadOnly();
  const { storage } = workspace;
  // Measuring walks all files, so it is done when somebody asks.
  const usage = useQuery({ queryKey: ['usage', workspace.id], queryFn: () => client.usage(workspace.id), enabled: false, retry: false });
  return (
    <section className="card">
      <h2>Files</h2>
      {measured ? (
        <p className={styles.files} aria-live="polite">
          {usage.data !== undefined && (
            <>
              <b>{formatBytes(usage.data.bytes)}</b> in {formatFiles(usage.data.files)}, measured <Ago time={usage.data.measured_at} />.{' '}
            </>
          )}
          {usage.data === undefined && storage.volume_used !== null && storage.volume_measured_at !== null && (
            <>
              <b>{formatMB(storage.volume_used)}</b> of {formatMB(storage.volume_size)}, measured <Ago time={storage.volume_measured_at} />.{' '}
            </>
          )}
          {usage.isError && !usage.isFetching && <>{errorOf(usage.error).detail} </>}
          <button type="button" className={styles.measure} disabled={usage.isFetching || readOnly} onClick={() => void usage.refetch()}>
            {usage.isFetching ? 'Measuring …' : usage.data === undefined ? 'Measure' : 'Measure again'}
          </button>
        </p>
      ) : (
        <p className={styles.files}>ML Lab does not tell how large they are.</p>
      )}
      {storage.container_used !== null && storage.container_measured_at !== null && (
        <p className={styles.files}>
          Outside of them <b>{formatMB(storage.container_used)}</b> of {formatMB(storage.container_size)}, measured <Ago time={storage.container_measured_at} />.
        </p>
      )}
      {storage.warning !== '' && <p className={styles.pending}>{storage.warning}</p>}
      {storage.cannot_be_measured !== '' && <p className="small dim">{storage.cannot_be_measured}</p>}
      <p className="small dim">They stay in their volume when the workspace stops{workspace.clear_volume_on_stop ? ', but this one is emptied then' : ''}.</p>
    </section>
  );
}

function LimitsCard({ workspace, host }: { workspace: Workspace; host: Host }) {
  const { compute, storage } = workspace;
  const rows: [string, string, Limit][] = [
    ['CPU', formatNumber(compute.cpus), host.limits.cpus],
    ['Memory', formatMB(compute.memory), host.limits.memory],
    ...(host.can.limits
      ? [
          ['Shared memory', formatMB(compute.shm), host.limits.shm] as [string, string, Limit],
          ['Processes', formatNumber(compute.processes), host.limits.processes] as [string, string, Limit],
        ]
      : []),
    ...(compute.gpus > 0 ? [['GPUs', workspace.gpu_ids.length > 0 ? `${formatNumber(compute.gpus)}: ${workspace.gpu_ids.join(', ')}` : formatNumber(compute.gpus), host.limits.gpus] as [string, string, Limit]] : []),
    ['Files', formatMB(storage.volume_size), { ...host.limits.volume_size, acts: storage.volume_acts }],
    ['Container', formatMB(storage.container_size), { ...host.limits.container_size, acts: storage.container_acts }],
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
              {value} <ActsWord limit={limit} /> {host.can.resize && <span className="small dim">{limit.applies}</span>}
            </dd>
          </div>
        ))}
      </dl>
      {!host.can.resize && <p className={`small dim ${styles.when}`}>A change of any of them restarts the workspace at once, if it runs.</p>}
      {workspace.above_limits.length > 0 && <p className={styles.pending}>Above what is allowed now, lowered at the next start: {namesOf(workspace.above_limits)}.</p>}
      {workspace.pending_restart.length > 0 && (
        <p className={styles.pending}>Changed, acts from the next start on: {namesOf(workspace.pending_restart)}.</p>
      )}
    </section>
  );
}

function About({ workspace }: { workspace: Workspace }) {
  const { owner } = useWhose();
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
          <dd>{owner.name}</dd>
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
