import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { useClient, useConnected } from '../api/context';
import { formatTime } from '../model/format';
import { StateShape } from './StateMark';
import styles from './Banner.module.css';

/** Says why nothing can be changed at the moment, and what to do about it. */
export function Banner() {
  const client = useClient();
  const connected = useConnected();
  const { data: host } = useQuery(queries.host(client));
  if (!connected) {
    return (
      <Strip>
        <b>The workspace manager does not answer.</b> What you see is what was last known; this page goes on by itself when it is back. If it does not come back, start it again on its machine: <code className="mono">lab-workspace-manager --serve</code>
      </Strip>
    );
  }
  if (host === undefined || host.reachable) return null;
  return (
    <Strip>
      <b>{host.reason === '' ? 'Docker does not answer.' : host.reason}</b> {host.action}
      {host.since !== null && <span className="dim"> Since {formatTime(host.since)}.</span>}
    </Strip>
  );
}

function Strip({ children }: { children: React.ReactNode }) {
  return (
    <div className={styles.banner} role="alert">
      <StateShape shape="fail" />
      <p>{children}</p>
    </div>
  );
}

/** Whether nothing can be changed now: the engine or the manager does not answer. */
export function useReadOnly(): boolean {
  const client = useClient();
  const connected = useConnected();
  const { data: host } = useQuery(queries.host(client));
  return !connected || host?.reachable === false;
}
