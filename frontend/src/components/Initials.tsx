import { initialsOf } from '../model/format';
import styles from './Initials.module.css';

/** What stands for an image in front of its name. */
export function Initials({ of }: { of: string }) {
  return (
    <span className={styles.initials} aria-hidden="true">
      {of === '…' ? of : initialsOf(of)}
    </span>
  );
}
