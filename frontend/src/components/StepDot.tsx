import styles from './StepDot.module.css';

const words = { done: 'Done', now: 'Going on', waiting: 'To come', failed: 'Failed', warn: 'Note' };

/** How far a step is: shape and colour, and a word for who cannot see them. */
export function StepDot({ state }: { state: keyof typeof words }) {
  return (
    <svg className={styles.dot} data-state={state} viewBox="0 0 18 18" width="18" height="18" role="img" aria-label={words[state]}>
      {state === 'done' && (
        <>
          <circle cx="9" cy="9" r="9" fill="currentColor" />
          <path className={styles.tick} d="m5.2 9.3 2.5 2.5 5-5.3" fill="none" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" />
        </>
      )}
      {state === 'now' && <path d="M9 1.5a7.5 7.5 0 1 1-7.5 7.5" fill="none" stroke="currentColor" strokeWidth="2.2" strokeLinecap="round" />}
      {state === 'waiting' && <circle cx="9" cy="9" r="8" fill="none" stroke="currentColor" strokeWidth="2" />}
      {state === 'failed' && <path d="M9 1.5 17.2 16H.8Z" fill="currentColor" />}
      {state === 'warn' && <circle cx="9" cy="9" r="8" fill="none" stroke="currentColor" strokeWidth="2" />}
    </svg>
  );
}
