import { memo, useState } from 'react';
import { Link } from 'react-router';
import type { Host, Workspace } from '../../api/types';
import { Initials } from '../../components/Initials';
import { LastLines } from '../../components/LastLines';
import { Meter, ProgressMeter } from '../../components/Meter';
import { StateMark } from '../../components/StateMark';
import { Ago, Since } from '../../components/Time';
import { formatCpus, formatMB, formatNumber, gigabytes } from '../../model/format';
import { currentStep, hasEnded, holdsResources, lastLinesOf, lookOf } from '../../model/state';
import { pathTo } from '../../paths';
import { NextButton } from '../actions/NextButton';
import { WorkspaceMenu } from '../actions/WorkspaceMenu';
import styles from './WorkspaceRow.module.css';

interface Props {
  workspace: Workspace;
  host: Host | undefined;
}

/** A workspace in the list: a table row on wide screens, a card on narrow ones. */
export const WorkspaceRow = memo(function WorkspaceRow({ workspace, host, readOnly }: Props & { readOnly: boolean }) {
  const wide = workspace.status === 'pending' || hasEnded(workspace);
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
          </div>
        </div>
      </div>
      <div className={styles.state} data-wide={wide}>
        <StateCell workspace={workspace} />
      </div>
      {!wide && (
        <div className={styles.resources}>
          <ResourceCell
            held={holdsResources(workspace)}
            text={formatCpus(workspace.compute.cpus)}
            share={host && workspace.compute.cpus / host.cpus}
            whole={host && `${formatNumber(workspace.compute.cpus)} of this machine’s ${formatCpus(host.cpus)}`}
          />
          <ResourceCell
            held={holdsResources(workspace)}
            text={formatMB(workspace.compute.memory)}
            share={host && workspace.compute.memory / host.memory}
            whole={host && `${gigabytes(workspace.compute.memory)} of this machine’s ${formatMB(host.memory)}`}
          />
        </div>
      )}
      <div className={styles.actions}>
        {!readOnly && <NextButton workspace={workspace} host={host} inList />}
        <WorkspaceMenu workspace={workspace} readOnly={readOnly} />
      </div>
    </li>
  );
});

interface ResourceProps {
  held: boolean;
  text: string;
  /** Its part of the machine, and the same in words; undefined while the machine is not known. */
  share: number | undefined;
  whole: string | undefined;
}

/** What limits hold, as a part of the machine. Nothing is held by what does not run. */
function ResourceCell({ held, text, share, whole }: ResourceProps) {
  return (
    <div className={`numbers ${styles.resource}`} data-held={held} title={held ? whole : undefined}>
      {text}
      {held && share !== undefined && (
        <div className={styles.meter}>
          <Meter held={share} />
        </div>
      )}
    </div>
  );
}

function StateCell({ workspace }: { workspace: Workspace }) {
  const look = lookOf(workspace);
  switch (workspace.status) {
    case 'pending':
      return <StartingCell workspace={workspace} />;
    case 'failed':
    case 'succeeded':
      return <EndedCell workspace={workspace} />;
    case 'running':
      return (
        <>
          <StateMark look={look} />
          <div className="small dim">{workspace.reason !== '' ? workspace.reason : <Since time={workspace.status_since} />}</div>
        </>
      );
    default:
      return (
        <>
          <StateMark look={look} />
          <div className="small dim">
            {workspace.status !== 'unknown' && workspace.status !== 'terminating' && workspace.reason}
            {workspace.status === 'stopped' && (
              <>
                {workspace.reason !== '' && ' '}
                <Ago time={workspace.status_since} />
              </>
            )}
          </div>
        </>
      );
  }
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
      {workspace.phase !== 'queued' && (
        <div className={styles.progress}>
          <ProgressMeter share={current?.share} label={`Start of ${workspace.display_name}`} />
        </div>
      )}
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
