import Skeleton from '@mui/material/Skeleton';
import styles from './Blocks.module.css';

/** Quiet blocks in the layout of what is being waited for. */
export function Blocks({ rows, totals = false }: { rows: number; totals?: boolean }) {
  return (
    <div className={styles.blocks} role="status" aria-label="Loading">
      {totals && <Skeleton variant="rounded" height={78} />}
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} variant="rounded" height={58} />
      ))}
    </div>
  );
}
