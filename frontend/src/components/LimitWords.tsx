import type { Limit } from '../api/types';
import styles from './LimitWords.module.css';

const meanings: Record<Limit['acts'], string> = {
  enforced: 'Enforced: the kernel or the engine holds this limit. More cannot be taken.',
  watched: 'Watched: it is measured, and what exceeds it is stopped with the reason. Nothing is deleted.',
};

/** Whether a limit holds, as a small outlined word beside it. */
export function ActsWord({ limit }: { limit: Pick<Limit, 'acts'> }) {
  return (
    <span className={styles.word} title={meanings[limit.acts]}>
      {limit.acts}
    </span>
  );
}

/** When a change of a field acts. */
export function AppliesWord({ applies }: { applies: 'live' | 'restart' }) {
  return (
    <span className={styles.word} title={applies === 'live' ? 'A change acts at once, without a restart.' : 'A change acts from the next start on.'}>
      {applies === 'live' ? 'applies live' : 'needs restart'}
    </span>
  );
}
