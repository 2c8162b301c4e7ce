import { useEffect, useRef, useState } from 'react';
import { useConnected } from '../api/context';
import { formatTime } from '../model/format';
import { engineName } from '../model/lab';
import { StateShape } from './StateMark';
import { useHost } from './useHost';
import styles from './Banner.module.css';

/** How long it is said that who was away is back, in ms. */
const newsFor = 8_000;

/** Says why nothing can be changed at the moment, and what to do about it; and when that is over. */
export function Banner() {
  const connected = useConnected();
  const host = useHost();
  // In a lab nothing of ours is reached but through the lab.
  const away = !connected ? (host?.in_lab === true ? 'ML Lab' : 'The workspace manager') : host?.reachable === false ? engineName(host) : undefined;
  const back = useBack(away);
  if (!connected && host?.in_lab === true) {
    return (
      <Strip>
        <b>ML Lab does not answer.</b> What you see is what was last known. Workspaces go on; this page does too, as soon as the lab is back.
      </Strip>
    );
  }
  if (!connected) {
    return (
      <Strip>
        <b>The workspace manager does not answer.</b> What you see is what was last known; this page goes on by itself when it is back. If it does not come back, start it again on its machine: <code className="mono">lab-workspace-manager --serve</code>
      </Strip>
    );
  }
  if (host === undefined) return null;
  if (host.reachable) {
    return back === undefined ? null : (
      <div className={styles.banner} data-tone="calm" data-news role="status">
        <p>{back} is back. What you see is up to date again.</p>
      </div>
    );
  }
  return (
    <Strip>
      <b>{host.reason === '' ? `${engineName(host)} does not answer.` : host.reason}</b> {host.action}
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

/** Who was away and has come back a moment ago. */
function useBack(away: string | undefined): string | undefined {
  const before = useRef<string>(undefined);
  const [back, setBack] = useState<string>();
  useEffect(() => {
    const was = before.current;
    before.current = away;
    if (away !== undefined || was === undefined) return undefined;
    setBack(was);
    const timer = setTimeout(() => setBack(undefined), newsFor);
    return () => {
      clearTimeout(timer);
      setBack(undefined);
    };
  }, [away]);
  return back;
}

/** Whether nothing can be changed now: the engine or the manager does not answer. */
export function useReadOnly(): boolean {
  const connected = useConnected();
  const host = useHost();
  return !connected || host?.reachable === false;
}
