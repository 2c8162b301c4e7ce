import Button from '@mui/material/Button';
import type { ApiError } from '../api/client';
import styles from './Trouble.module.css';

/** Stands in the place of what could not be shown: why, what to do, and one thing to press. */
export function Trouble({ error, onRetry, label = 'Try again' }: { error: Pick<ApiError, 'detail' | 'hint'>; onRetry: () => void; label?: string }) {
  return (
    <div className={`card ${styles.trouble}`} role="alert">
      <div>
        <h2>{error.detail}</h2>
        {error.hint !== '' && <p className="dim">{error.hint}</p>}
      </div>
      <Button onClick={onRetry}>{label}</Button>
    </div>
  );
}
