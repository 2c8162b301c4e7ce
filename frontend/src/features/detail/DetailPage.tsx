import Button from '@mui/material/Button';
import Tab from '@mui/material/Tab';
import Tabs from '@mui/material/Tabs';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { queries } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Host, Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { StateMark } from '../../components/StateMark';
import { Ago, Since } from '../../components/Time';
import { useKeys } from '../../components/useKeys';
import { WithWorkspace } from '../../components/WithWorkspace';
import { useNow } from '../../components/useNow';
import { queueText, rowLine, sentenceOf } from '../../model/rowLine';
import { lookOf, saysWhy } from '../../model/state';
import { pathTo, type DetailTab } from '../../paths';
import { NextButton } from '../actions/NextButton';
import { ExtendLink } from '../actions/ExtendLink';
import { useActions } from '../actions/useActions';
import { WorkspaceMenu } from '../actions/WorkspaceMenu';
import styles from './DetailPage.module.css';
import { Logs } from './Logs';
import { Overview } from './Overview';
import { Settings } from './Settings';

const tabs: [DetailTab, string][] = [
  ['overview', 'Overview'],
  ['logs', 'Logs'],
  ['settings', 'Settings'],
];

export function DetailPage() {
  return <WithWorkspace>{(workspace) => <Detail key={workspace.id} workspace={workspace} />}</WithWorkspace>;
}

function Detail({ workspace }: { workspace: Workspace }) {
  const client = useClient();
  const navigate = useNavigate();
  const params = useParams();
  const readOnly = useReadOnly();
  const actions = useActions();
  const { data: host } = useQuery(queries.host(client));
  const tab = tabs.find(([name]) => name === params.tab)?.[0] ?? 'overview';
  const show = (next: DetailTab) => () => void navigate(pathTo.detail(workspace.owner, workspace.id, next));
  useKeys({
    l: show('logs'),
    e: show('settings'),
    s: () => {
      if (workspace.actions.includes('start')) void actions.start(workspace);
      else if (workspace.actions.includes('stop')) void actions.stopByKey(workspace);
    },
    Escape: () => void navigate(pathTo.home(workspace.owner)),
  });

  return (
    <>
      <title>{`${workspace.display_name} · Workspaces`}</title>
      <div className={styles.head}>
        <Link className={`faint ${styles.back}`} to={pathTo.home(workspace.owner)}>
          Workspaces /
        </Link>
        <h1 dir="auto" className={styles.title} title={workspace.display_name}>{workspace.display_name}</h1>
        <StateMark look={lookOf(workspace)} />
        <span className="dim">
          {workspace.status === 'running' ? <Since time={workspace.status_since} /> : <Ago time={workspace.status_since} />}
        </span>
        <span className="spacer" />
        <div className={styles.actions}>
          <WorkspaceMenu workspace={workspace} readOnly={readOnly} onGone={() => void navigate(pathTo.home(workspace.owner))} />
          {!readOnly && <HeadButtons workspace={workspace} host={host} />}
        </div>
      </div>
      {workspace.status === 'running' && <RunningReason workspace={workspace} readOnly={readOnly} />}
      {workspace.image_gone !== '' && <p className={styles.reason}>{workspace.image_gone}</p>}
      {workspace.update_available !== '' && <p className={styles.reason}>{workspace.update_available}</p>}
      {saysWhy(workspace) && (
        <p className={styles.reason}>
          {workspace.phase === 'queued' && `${sentenceOf(queueText(workspace))} `}
          {workspace.reason}
          {workspace.status === 'pending' && (
            <>
              {' '}
              <Link to={pathTo.start(workspace.owner, workspace.id)}>Show its steps</Link>
            </>
          )}
        </p>
      )}
      <Tabs value={tab} onChange={(_, next: DetailTab) => show(next)()} aria-label="Parts of this workspace">
        {tabs.map(([name, label]) => (
          <Tab key={name} value={name} label={label} id={`tab-${name}`} aria-controls={`panel-${name}`} />
        ))}
      </Tabs>
      <div className={styles.panel} role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`}>
        {tab === 'overview' && <Overview workspace={workspace} host={host} />}
        {tab === 'logs' && <Logs workspace={workspace} />}
        {tab === 'settings' && host !== undefined && <Settings workspace={workspace} host={host} readOnly={readOnly} />}
      </div>
    </>
  );
}

/** What is urgent of it, unless its reason says it below. */
function RunningReason({ workspace, readOnly }: { workspace: Workspace; readOnly: boolean }) {
  const line = rowLine({ ...workspace, reason: '', image_gone: '', update_available: '' }, useNow());
  if (line.kind === 'since') return null;
  return (
    <p className={styles.reason} data-warn={line.warn}>
      {sentenceOf(line.text)} {line.title} {line.extend && !readOnly && <ExtendLink workspace={workspace} />}
    </p>
  );
}

function HeadButtons({ workspace, host }: { workspace: Workspace; host: Host | undefined }) {
  const actions = useActions();
  const [busy, setBusy] = useState(false);
  const stop = async (): Promise<void> => {
    setBusy(true);
    await actions.stop(workspace);
    setBusy(false);
  };
  return (
    <>
      {workspace.status === 'running' && workspace.actions.includes('stop') && (
        <Button disabled={busy} onClick={() => void stop()}>
          Stop
        </Button>
      )}
      <NextButton workspace={workspace} host={host} />
    </>
  );
}
