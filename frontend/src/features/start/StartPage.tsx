import { Link } from 'react-router';
import { useQuery } from '@tanstack/react-query';
import { queries } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { Initials } from '../../components/Initials';
import { StateMark } from '../../components/StateMark';
import { WithWorkspace } from '../../components/WithWorkspace';
import { queueText, sentenceOf } from '../../model/rowLine';
import { lookOf } from '../../model/state';
import { pathTo } from '../../paths';
import { NextButton } from '../actions/NextButton';
import styles from './StartPage.module.css';
import { StepList } from './StepList';

/** What is happening, how far it is, what comes next. */
export function StartPage() {
  return <WithWorkspace>{(workspace) => <Start workspace={workspace} />}</WithWorkspace>;
}

const titles: Record<Workspace['status'], (name: string) => string> = {
  pending: (name) => `Starting ${name}`,
  running: (name) => `${name} is ready`,
  failed: (name) => `${name} did not start`,
  succeeded: (name) => `${name} has ended`,
  stopped: (name) => `${name} is stopped`,
  terminating: (name) => `Stopping ${name}`,
  unknown: (name) => name,
};

function Start({ workspace }: { workspace: Workspace }) {
  const client = useClient();
  const readOnly = useReadOnly();
  const { data: host } = useQuery(queries.host(client));
  const title = workspace.phase === 'queued' ? `${workspace.display_name} waits` : titles[workspace.status](workspace.display_name);
  return (
    <div className={styles.page}>
      <title>{`${title} · Workspaces`}</title>
      <div className={styles.head}>
        <Initials of={workspace.image_name} />
        <div className={styles.title}>
          <h1>{title}</h1>
        </div>
        <span className="spacer" />
        {!readOnly && <NextButton workspace={workspace} host={host} />}
      </div>
      {workspace.phase === 'queued' && (
        <div className={`card ${styles.calm}`} role="status">
          <StateMark look={lookOf(workspace)} />
          <span className="dim">
            {sentenceOf(queueText(workspace))} {workspace.reason}
          </span>
        </div>
      )}
      {workspace.progress !== null && <StepList progress={workspace.progress} />}
      {workspace.progress === null && workspace.phase !== 'queued' && (
        <div className={`card ${styles.calm}`}>
          <StateMark look={lookOf(workspace)} />
          {workspace.reason !== '' && <span className="dim">{workspace.reason}</span>}
        </div>
      )}
      <p className={styles.links}>
        <Link to={pathTo.home(workspace.owner)}>All workspaces</Link>
        <Link to={pathTo.detail(workspace.owner, workspace.id)}>Details</Link>
        <Link to={pathTo.detail(workspace.owner, workspace.id, 'logs')}>Logs</Link>
      </p>
    </div>
  );
}
