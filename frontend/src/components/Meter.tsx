import styles from './Meter.module.css';

interface Props {
  /** What is used, 0 to 1. */
  used?: number;
  /** What limits hold, 0 to 1; drawn lighter, below what is used. */
  held?: number;
  /** "busy" is for progress. */
  tone?: 'use' | 'busy' | 'warn' | 'fail';
}

/** A quiet bar beside numbers that say the same, which is why it is not read aloud. */
export function Meter({ used, held, tone = 'use' }: Props) {
  return (
    <svg className={styles.meter} data-tone={tone} aria-hidden="true" width="100%" height="100%">
      <rect className={styles.track} width="100%" height="100%" />
      {held !== undefined && <rect className={styles.held} width={percent(held)} height="100%" />}
      {used !== undefined && <rect className={styles.used} width={percent(used)} height="100%" />}
    </svg>
  );
}

/** Progress nobody can put a number on moves; with reduced motion it stands still. */
export function ProgressMeter({ share, label, failed = false }: { share: number | undefined; label: string; failed?: boolean }) {
  return (
    <div
      className={styles.progress}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...(share === undefined ? {} : { 'aria-valuenow': Math.round(share * 100) })}
      data-moving={share === undefined && !failed}
    >
      <Meter used={share ?? (failed ? 0 : 0.3)} tone={failed ? 'fail' : 'busy'} />
    </div>
  );
}

function percent(share: number): string {
  return `${Math.max(0, Math.min(1, share)) * 100}%`;
}
