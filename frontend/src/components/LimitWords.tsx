import type { Limit } from '../api/types';
import styles from './LimitWords.module.css';

/** Whether a limit holds, as a small outlined word beside it. */
export function ActsWord({ limit }: { limit: Pick<Limit, 'acts'> }) {
  return <span className={styles.word}>{limit.acts}</span>;
}

/** When a change of a field acts. */
export function AppliesWord({ applies }: { applies: 'live' | 'restart' }) {
  return <span className={styles.word}>{applies === 'live' ? 'applies live' : 'needs restart'}</span>;
}
