import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from 'react-router';
import { queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import type { AdminUser, Gpu, Host, Overview } from '../../api/types';
import { Blocks } from '../../components/Blocks';
import { Ago } from '../../components/Time';
import { Total, Totals } from '../../components/Total';
import { Trouble } from '../../components/Trouble';
import { useDelayed } from '../../components/useDelayed';
import { useNames } from '../../components/useNames';
import { useUser } from '../../components/user';
import { auditText, hasQuota, hostLines, isTight, ofQuota } from '../../model/admin';
import { barOfLine, nameOfResource } from '../../model/amounts';
import { formatExact, formatMB } from '../../model/format';
import { pathTo } from '../../paths';
import styles from './Admin.module.css';
import { AllWorkspaces } from './AllWorkspaces';
import { Configuration } from './Configuration';
import { Table } from './Table';

/** Who has what, and what can be done about it. */
export function AdminPage() {
  const client = useClient();
  const user = useUser();
  const navigate = useNavigate();
  const overview = useQuery(queries.adminOverview(client));
  const slow = useDelayed(overview.isPending);
  if (overview.data === undefined) {
    if (!overview.isError) return slow ? <Blocks rows={5} totals /> : null;
    const error = errorOf(overview.error);
    const forbidden = error.code === 'forbidden';
    return <Trouble error={error} {...(forbidden ? { label: 'Show mine' } : {})} onRetry={() => (forbidden ? void navigate(pathTo.home(user)) : void overview.refetch())} />;
  }
  return <Administration overview={overview.data} />;
}

function Administration({ overview }: { overview: Overview }) {
  const client = useClient();
  const { data: host } = useQuery(queries.host(client));
  const lines = hostLines(overview.host, host);
  return (
    <div className={styles.page}>
      <title>Administration · Workspaces</title>
      <h1>Administration</h1>
      {lines.length > 0 && (
        <section aria-label="What the machine gives out">
          <Totals>
            {lines.map((line) => (
              <Total key={line.resource} name={nameOfResource(line.resource)} bar={barOfLine(line)} solid={line.unit === ''} />
            ))}
          </Totals>
        </section>
      )}
      <Users users={overview.users} host={host} />
      <AllWorkspaces workspaces={overview.workspaces} />
      {overview.gpus.length > 0 && <Gpus gpus={overview.gpus} />}
      <Configuration />
      <Audit />
    </div>
  );
}

function Users({ users, host }: { users: AdminUser[]; host: Host | undefined }) {
  const nameOf = useNames(users.map(({ user }) => user));
  const gpus = users.some((user) => user.gpus > 0 || user.quota.gpus > 0);
  return (
    <section aria-labelledby="admin-users">
      <h2 id="admin-users">Users</h2>
      {users.length === 0 ? (
        <p className="dim">Nobody has a workspace.</p>
      ) : (
        <Table titleId="admin-users" columns={['User', 'Workspaces', 'Running', 'CPU', 'Memory', 'Storage', ...(gpus ? ['GPUs'] : [])]}>
          {users.map((user) => (
            <tr key={user.user}>
              <th scope="row">
                {/* In a lab an administrator may act for anybody. */}
                {host?.in_lab === true ? <Link to={pathTo.home(user.user)} title={user.user}>{nameOf(user.user)}</Link> : user.user}
                <div className="small dim">
                  {[user.groups.join(', '), hasQuota(user) ? '' : 'no quota', user.quota.on_exceed === 'queue' ? 'waits when over it' : user.quota.on_exceed === 'refuse' ? 'refused when over it' : '']
                    .filter((part) => part !== '')
                    .join(' · ')}
                </div>
              </th>
              <Taken label="Workspaces" taken={user.workspaces} quota={user.quota.workspaces} />
              <Taken label="Running" taken={user.running} quota={user.quota.running} />
              <Taken label="CPU" taken={user.cpus} quota={user.quota.cpus} />
              <Taken label="Memory" taken={user.memory} quota={user.quota.memory} unit="MB" />
              <Taken label="Storage" taken={user.storage} quota={user.quota.storage} unit="MB" more={host?.can.measure === false ? '' : `${formatMB(user.storage_used)} used`} />
              {gpus && <Taken label="GPUs" taken={user.gpus} quota={user.quota.gpus} />}
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

function Taken({ label, taken, quota, unit = '', more = '' }: { label: string; taken: number; quota: number; unit?: 'MB' | ''; more?: string }) {
  return (
    <td data-label={label} data-tight={isTight(taken, quota)} className="numbers" title={quota === 0 ? 'Held by limits; no quota.' : 'Held by limits, of the quota.'}>
      {ofQuota(taken, quota, unit)}
      {more !== '' && <div className="small dim">{more}</div>}
    </td>
  );
}

function Gpus({ gpus }: { gpus: Gpu[] }) {
  const nameOf = useNames(gpus.flatMap(({ holders }) => holders.map(({ user }) => user)));
  return (
    <section aria-labelledby="admin-gpus">
      <h2 id="admin-gpus">GPUs</h2>
      <Table titleId="admin-gpus" columns={['GPU', 'Memory', 'Held by']}>
        {gpus.map((gpu) => (
          <tr key={gpu.id}>
            <th scope="row">
              {gpu.name === '' ? gpu.id : gpu.name} {gpu.name !== '' && <span className="small dim">{gpu.id}</span>}
            </th>
            <td data-label="Memory" className="numbers">{gpu.memory === 0 ? '–' : formatMB(gpu.memory)}</td>
            <td data-label="Held by">
              {gpu.holders.length === 0 && <span className="dim">free</span>}
              {gpu.holders.map((holder) => (
                <div key={holder.id}>
                  {holder.workspace} of {nameOf(holder.user)} <span className="small dim">since <Ago time={holder.since} /></span>
                </div>
              ))}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

function Audit() {
  const client = useClient();
  const { data: entries = [], isError, error } = useQuery(queries.adminAudit(client));
  const nameOf = useNames(entries.flatMap(({ admin, user }) => [admin, user]));
  return (
    <section aria-labelledby="admin-audit">
      <h2 id="admin-audit">What administrators did</h2>
      {isError && <p>{errorOf(error).message}</p>}
      {entries.length === 0 && !isError && <p className="dim">Nothing yet.</p>}
      {entries.length > 0 && (
        <ol className={`card ${styles.audit}`}>
          {entries.map((entry, index) => (
            <li key={`${entry.at}-${index}`}>
              <time className="small dim numbers" dateTime={entry.at}>
                {formatExact(entry.at)}
              </time>
              <span>
                <b>{nameOf(entry.admin)}</b> {auditText(entry, nameOf)}
                {entry.detail !== '' && <span className="dim">: {entry.detail}</span>}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
