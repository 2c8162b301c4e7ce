import { useQuery } from '@tanstack/react-query';
import { memo, useState } from 'react';
import { Link } from 'react-router';
import { queries } from '../../api/cache';
import type { Host, Use, Workspace } from '../../api/types';
import { Initials } from '../../components/Initials';
import { LastLines } from '../../components/LastLines';
import { Meter, ProgressMeter } from '../../components/Meter';
import { StateMark } from '../../components/StateMark';
import { Ago, Since } from '../../components/Time';
import { useNow } from '../../components/useNow';
import { diskOf, gpusText, nearlyFull, shareOfDisk, usedOf } from '../../model/amounts';
import { formatAgo, formatCpus, formatMB } from '../../model/format';
import { queueText, rowLine, wasStoppedForAReason } from '../../model/rowLine';
import { currentStep, hasEnded, holdsResources, lastLinesOf, lookOf, saysWhy } from '../../model/state';
import { pathTo } from '../../paths';
import { NextButton } from '../actions/NextButton';
import { ExtendLink } from '../actions/ExtendLink';
import { WorkspaceMenu } from '../actions/WorkspaceMenu';
import styles from './WorkspaceRow.module.css';

interface Props {
  workspace: Workspace;
  host: Host | undefined;
}

/** A workspace in the list: a table row on wide screens, a card on narrow ones. */
export const WorkspaceRow = memo(function WorkspaceRow({ workspace, host, readOnly }: Props & { readOnly: boolean }) {
  const wide = workspace.status === 'pending' || hasEnded(workspace);
  // Why it was stopped needs room, and what its files hold may be the reason.
  const most = wasStoppedForAReason(workspace);
  return (
    <li className={styles.row} data-workspace={workspace.id} data-status={workspace.status} tabIndex={-1} aria-label={workspace.display_name}>
      <div className={styles.name}>
        <Initials of={workspace.image_name} />
        <div className={styles.names}>
          <Link dir="auto" className={styles.title} to={pathTo.detail(workspace.owner, workspace.id)} title={workspace.display_name}>
            {workspace.display_name}
          </Link>
          <div className={styles.image} title={workspace.container_image}>
            {workspace.image_name}
            {workspace.compute.gpus > 0 && ` · ${gpusText(workspace)}`}
          </div>
        </div>
      </div>
      <div className={styles.state} data-wide={wide || (most && 'most')}>
        <StateCell workspace={workspace} readOnly={readOnly} />
      </div>
      {!wide && (
        <div className={styles.resources}>
          {!most && <ComputeCells workspace={workspace} measured={host?.can.stats !== false} />}
          <DiskCell workspace={workspace} measured={host?.can.measure !== false} />
        </div>
      )}
      <div className={styles.actions}>
        {!readOnly && <NextButton workspace={workspace} host={host} inList />}
        <WorkspaceMenu workspace={workspace} readOnly={readOnly} />
      </div>
    </li>
  );
});

/** What it uses now of its limits. Nothing is used by what does not run. Where nobody can measure, only the limits. */
function ComputeCells({ workspace, measured }: { workspace: Workspace; measured: boolean }) {
  const { data: use } = useQuery({ ...queries.use, select: (uses: Use[]) => uses.find((one) => one.id === workspace.id) });
  const held = holdsResources(workspace);
  const { cpus, memory } = workspace.compute;
  return (
    <>
      <ResourceCell label="CPU" held={held} measured={measured} used={held ? (use?.cpus ?? undefined) : undefined} whole={cpus} unit="CPUs" limit={formatCpus(cpus)} warns={false} title={`Its limit is ${formatCpus(cpus)}.`} />
      <ResourceCell label="Memory" held={held} measured={measured} used={held ? use?.memory : undefined} whole={memory} unit="MB" limit={formatMB(memory)} warns title={`Its limit is ${formatMB(memory)}.${measured ? ' Caches of files are not counted.' : ''}`} />
    </>
  );
}

interface ResourceProps {
  label: string;
  held: boolean;
  /** Whether anybody looks at what is used. */
  measured: boolean;
  /** undefined: nobody knows. */
  used: number | undefined;
  whole: number;
  unit: string;
  limit: string;
  /** Whether much of it is something to look at: a busy CPU is what it is for. */
  warns: boolean;
  title: string;
}

function ResourceCell({ label, held, measured, used, whole, unit, limit, warns, title }: ResourceProps) {
  const text = used === undefined ? undefined : usedOf(used, whole, unit);
  const share = used === undefined || whole <= 0 ? 0 : used / whole;
  return (
    <div className={`numbers ${styles.resource}`} data-held={held} title={title}>
      <span>
        <span className={styles.label}>{label} </span>
        {text === undefined ? limit : <>{text.value} <span className="dim">{text.rest}</span></>}
      </span>
      {held && measured && (
        <div className={styles.meter}>
          <Meter used={share} tone={warns && share >= nearlyFull ? 'warn' : 'use'} />
        </div>
      )}
    </div>
  );
}

function DiskCell({ workspace, measured }: { workspace: Workspace; measured: boolean }) {
  const now = useNow();
  const { storage } = workspace;
  const disk = diskOf(storage);
  if (disk === undefined) {
    const why = storage.cannot_be_measured === '' ? 'Not measured yet.' : storage.cannot_be_measured;
    const limit = `Its limit is ${formatMB(storage.volume_size)}`;
    const title = measured ? `${why} ${limit}, ${storage.volume_acts}.` : `${limit}. ML Lab does not tell how large its files are.`;
    return (
      <div className={`numbers ${styles.resource}`} data-held={!measured && holdsResources(workspace)} title={title}>
        <span>
          <span className={styles.label}>Disk </span>
          {formatMB(storage.volume_size)}
        </span>
      </div>
    );
  }
  const { value, rest } = usedOf(disk.used, disk.size, 'MB');
  const share = shareOfDisk(disk);
  const title = [
    `${disk.what === 'files' ? 'Its files' : 'What is written outside of its files'}, measured ${formatAgo(disk.measuredAt, now)}.`,
    disk.acts === 'watched' ? 'The limit is watched: what exceeds it is stopped.' : 'The limit is enforced: nothing more can be written.',
    storage.cannot_be_measured,
  ];
  return (
    <div className={`numbers ${styles.resource}`} data-held title={title.join(' ').trim()}>
      <span>
        <span className={styles.label}>{disk.what === 'files' ? 'Disk' : 'Container'} </span>
        {value} <span className="dim">{rest}</span>
      </span>
      {disk.what === 'container' && <span className={`small dim ${styles.apart}`}>container</span>}
      <div className={styles.meter}>
        <Meter used={share} tone={share >= nearlyFull ? 'warn' : 'use'} />
      </div>
    </div>
  );
}

function StateCell({ workspace, readOnly }: { workspace: Workspace; readOnly: boolean }) {
  const look = lookOf(workspace);
  switch (workspace.status) {
    case 'pending':
      return workspace.phase === 'queued' ? <QueuedCell workspace={workspace} /> : <StartingCell workspace={workspace} />;
    case 'failed':
    case 'succeeded':
      return <EndedCell workspace={workspace} />;
    case 'running':
      return (
        <>
          <StateMark look={look} />
          <RunningLine workspace={workspace} readOnly={readOnly} />
        </>
      );
    case 'stopped':
      return (
        <>
          <StateMark look={look} />
          <div className="small dim">
            {workspace.reason !== '' && `${workspace.reason.replace(/\.$/, '')} · `}
            <Ago time={workspace.status_since} />
          </div>
        </>
      );
    default: // the banner says why nothing is known
      return (
        <>
          <StateMark look={look} />
          <div className="small dim">{workspace.status !== 'unknown' && saysWhy(workspace) && workspace.reason}</div>
        </>
      );
  }
}

function RunningLine({ workspace, readOnly }: { workspace: Workspace; readOnly: boolean }) {
  const now = useNow();
  const line = rowLine(workspace, now);
  return (
    <div className={styles.note} data-warn={line.warn} title={line.title === '' ? undefined : line.title}>
      {line.kind === 'since' ? <Since time={workspace.status_since} /> : line.text}
      {line.extend && !readOnly && (
        <>
          {' '}
          <ExtendLink workspace={workspace} />
        </>
      )}
    </div>
  );
}

/** It waits within the quotas: where it stands, and what would let it start. */
function QueuedCell({ workspace }: { workspace: Workspace }) {
  return (
    <>
      <div className={styles.line}>
        <StateMark look={lookOf(workspace)} />
        <span className="small dim numbers">{queueText(workspace)}</span>
      </div>
      {workspace.reason !== '' && <div className={styles.note}>{workspace.reason}</div>}
    </>
  );
}

function StartingCell({ workspace }: { workspace: Workspace }) {
  const look = lookOf(workspace);
  const current = currentStep(workspace);
  const text =
    current === undefined
      ? workspace.reason
      : [current.step.title, current.step.detail, `step ${current.position} of ${current.count}`].filter((part) => part !== '').join(' · ');
  return (
    <>
      <div className={styles.line}>
        <StateMark look={look} />
        <Link className={`numbers ${styles.progressText}`} to={pathTo.start(workspace.owner, workspace.id)}>
          {text}
        </Link>
      </div>
      <div className={styles.progress}>
        <ProgressMeter share={current?.share} label={`Start of ${workspace.display_name}`} />
      </div>
    </>
  );
}

function EndedCell({ workspace }: { workspace: Workspace }) {
  const [open, setOpen] = useState(false);
  const lines = lastLinesOf(workspace).filter((line) => line.trim() !== '');
  return (
    <>
      <div className={styles.line} data-ended>
        <StateMark look={lookOf(workspace)} />
        <span className="small">
          {workspace.reason} <span className="dim"><Ago time={workspace.status_since} /></span>{' '}
          {lines.length < 2 && (
            <Link className={styles.more} to={pathTo.detail(workspace.owner, workspace.id, 'logs')}>
              Logs
            </Link>
          )}
        </span>
      </div>
      {lines.length > 0 && (
        <div className={styles.why}>
          {!open && <span className={styles.lastLine}>{lines.at(-1)}</span>}
          {lines.length > 1 && (
            <button type="button" className={styles.more} aria-expanded={open} onClick={() => setOpen(!open)}>
              {open ? 'Hide log lines' : `Last ${lines.length} log lines`}
            </button>
          )}
        </div>
      )}
      {open && <LastLines className={styles.log} label={`Last lines of ${workspace.display_name}`} lines={lines} />}
    </>
  );
}
