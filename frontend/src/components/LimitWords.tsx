import type { Limit } from '../api/types';
import { whenOf } from '../model/lab';
import styles from './LimitWords.module.css';

const words: Record<Limit['acts'], string> = { enforced: 'enforced', watched: 'watched', engine: 'by ML Lab' };

const meanings: Record<Limit['acts'], string> = {
  enforced: 'Enforced: the kernel or the engine holds this limit. More cannot be taken.',
  watched: 'Watched: it is measured, and what exceeds it is stopped with the reason. Nothing is deleted.',
  engine: 'ML Lab holds this limit as far as it does that, and does not tell.',
};

/** Whether a limit holds, as a small outlined word beside it. */
export function ActsWord({ limit }: { limit: Pick<Limit, 'acts'> }) {
  return (
    <span className={styles.word} title={meanings[limit.acts]}>
      {words[limit.acts]}
    </span>
  );
}

/** When a change of a field acts. resizes: whether the engine changes anything live. */
export function AppliesWord({ applies, resizes }: { applies: 'live' | 'restart'; resizes: boolean }) {
  const when = whenOf(applies, resizes);
  return (
    <span className={styles.word} title={when.sentence}>
      {when.word}
    </span>
  );
}
