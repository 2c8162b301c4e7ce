import type { Shape, StateLook } from '../model/state';
import styles from './StateMark.module.css';

/** Shape and word of a state; the word carries the meaning, so the shape is not read aloud. */
export function StateMark({ look }: { look: StateLook }) {
  return (
    <span className={styles.mark} data-tone={look.tone}>
      <StateShape shape={look.shape} />
      {look.word}
    </span>
  );
}

export function StateShape({ shape }: { shape: Shape }) {
  return (
    <svg className={styles.shape} data-shape={shape} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {outlines[shape]}
    </svg>
  );
}

const outlines = {
  run: <circle cx="6" cy="6" r="5" fill="currentColor" />,
  off: <circle cx="6" cy="6" r="4.4" fill="none" stroke="currentColor" strokeWidth="1.6" />,
  busy: <path d="M6 1.4a4.6 4.6 0 1 1-4.6 4.6" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" />,
  fail: <path d="M6 1 11.4 10.8H.6Z" fill="currentColor" />,
  wait: <path d="M2.5 1h7L6 6ZM2.5 11h7L6 6Z" fill="currentColor" />,
  unknown: <path d="M6 1.4a4.6 4.6 0 1 1 0 9.2 4.6 4.6 0 0 1 0-9.2Z" fill="none" stroke="currentColor" strokeWidth="1.6" strokeDasharray="2 2" />,
} satisfies Record<Shape, React.ReactNode>;
