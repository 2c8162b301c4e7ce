import IconButton from '@mui/material/IconButton';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { queries } from '../api/cache';
import { useClient } from '../api/context';
import { changesText, isNews } from '../model/notices';
import styles from './Banner.module.css';
import { StateShape } from './StateMark';
import { useNow } from './useNow';

const storageKey = 'lab-config-notice-seen';

/** What became of the configuration file: a mistake in it stays until it is mended, what changed until somebody has read it. */
export function ConfigNotices() {
  const client = useClient();
  const now = useNow(60_000);
  const { data: host } = useQuery(queries.host(client));
  const [seen, setSeen] = useState(() => window.localStorage.getItem(storageKey) ?? '');
  if (host === undefined) return null;
  const { config } = host;
  const news = changesText(config);
  const dismiss = (): void => {
    const loadedAt = config.loaded_at ?? '';
    window.localStorage.setItem(storageKey, loadedAt);
    setSeen(loadedAt);
  };
  return (
    <>
      {config.problem !== '' && (
        <div className={styles.banner} data-tone="warn" role="alert">
          <StateShape shape="fail" />
          <p>
            <b>The configuration file has a mistake; the earlier one stays in force:</b> {config.problem}
          </p>
        </div>
      )}
      {news !== undefined && config.loaded_at !== seen && isNews(config, now) && (
        <div className={styles.banner} data-tone="calm" role="status">
          <p>
            <b>{news.head}:</b>{' '}
            {news.changes.map((change, index) => (
              <span key={change.key}>
                {index > 0 && '; '}
                <code className="mono">{change.key}</code> {change.text}
                {!change.live && ' (after the next start)'}
              </span>
            ))}
            .
          </p>
          <span className="spacer" />
          <IconButton aria-label="Dismiss" onClick={dismiss}>
            ×
          </IconButton>
        </div>
      )}
    </>
  );
}
