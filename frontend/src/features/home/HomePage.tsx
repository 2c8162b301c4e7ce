import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useEffect } from 'react';
import { Link, useLocation } from 'react-router';
import { queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { Workspace } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { Blocks } from '../../components/Blocks';
import { Trouble } from '../../components/Trouble';
import { useDelayed } from '../../components/useDelayed';
import { useCan } from '../../components/useHost';
import { useUser } from '../../components/user';
import { lookOf } from '../../model/state';
import { pathTo } from '../../paths';
import { matches, useFind } from './find';
import { FirstRun } from './FirstRun';
import styles from './HomePage.module.css';
import { Totals } from './Totals';
import { useHomeKeys } from './useHomeKeys';
import { WorkspaceRow } from './WorkspaceRow';

export function HomePage() {
  const client = useClient();
  const user = useUser();
  const workspaces = useQuery(queries.workspaces(client));
  const slow = useDelayed(workspaces.isPending);

  if (workspaces.data === undefined) {
    if (workspaces.isError) return <Trouble error={errorOf(workspaces.error)} onRetry={() => void workspaces.refetch()} />;
    return slow ? <Blocks rows={4} totals /> : null;
  }
  if (workspaces.data.length === 0) return <EmptyHome user={user} />;
  return <FilledHome user={user} workspaces={workspaces.data} />;
}

function EmptyHome({ user }: { user: string }) {
  useRendered([]);
  return (
    <>
      <title>Workspaces</title>
      <FirstRun user={user} />
      <KeptLink user={user} />
    </>
  );
}

function FilledHome({ user, workspaces }: { user: string; workspaces: Workspace[] }) {
  const client = useClient();
  const readOnly = useReadOnly();
  const find = useFind();
  const { data: host } = useQuery(queries.host(client));
  // The API lists the oldest first. Who has many looks for the one just made, which would be below the fold.
  // And hundreds of rows must not hold up what is typed.
  const wanted = useDeferredValue(find.text);
  const shown = workspaces.filter((workspace) => matches(workspace, wanted)).toReversed();
  useHomeKeys(shown);
  useRendered(shown);
  return (
    <>
      <title>Workspaces</title>
      <h1 className="spoken">Workspaces</h1>
      <Totals workspaces={workspaces} host={host} />
      <section className={styles.list} aria-label="List of workspaces">
        <div className={styles.head} aria-hidden="true">
          <span>Name</span>
          <span>State</span>
          <span>CPU</span>
          <span>Memory</span>
          <span>Disk</span>
        </div>
        <ul className={styles.rows} data-dimmed={readOnly} data-behind={wanted !== find.text}>
          {shown.map((workspace) => (
            <WorkspaceRow key={workspace.id} workspace={workspace} host={host} readOnly={readOnly} />
          ))}
        </ul>
        {shown.length === 0 && (
          <p className={styles.nothing}>
            Nothing matches “{wanted}”.{' '}
            <button type="button" className={styles.clear} onClick={() => find.setText('')}>
              Show all {workspaces.length}
            </button>
          </p>
        )}
      </section>
      <KeptLink user={user} />
    </>
  );
}

function KeptLink({ user }: { user: string }) {
  const client = useClient();
  const { data: volumes = [] } = useQuery(queries.volumes(client));
  const listed = useCan('volumes');
  const kept = volumes.filter((volume) => volume.used_by === null).length;
  if (kept === 0 || !listed) return null;
  return (
    <p className={styles.kept}>
      <Link to={pathTo.volumes(user)}>
        {kept === 1 ? 'Files of 1 deleted workspace are kept' : `Files of ${kept} deleted workspaces are kept`}
      </Link>
    </p>
  );
}

/** Tells the client what this page shows, each time that changes. */
function useRendered(shown: Workspace[]): void {
  const client = useClient();
  const { pathname } = useLocation();
  const rows = JSON.stringify(shown.map((workspace) => ({ id: workspace.id, name: workspace.display_name, state: lookOf(workspace).word })));
  useEffect(() => {
    client.reportRendered(pathname, JSON.parse(rows) as { id: string; name: string; state: string }[]);
  }, [client, pathname, rows]);
}
