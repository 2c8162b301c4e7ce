import type { ReactNode } from 'react';
import { verdictOf } from '../model/verdict';
import type { Checked } from './useCheck';
import styles from './VerdictBox.module.css';

interface Props {
  checked: Checked;
  id: string;
  /** What it is about when that is not what is asked for now. */
  about?: string;
  /** What else is to say when it fits. */
  children?: ReactNode;
}

/** Answers before anybody asks: fits, waits, or over the quota by how much, with the reason below. */
export function VerdictBox({ checked, id, about = '', children }: Props) {
  const { check, error, current } = checked;
  const said = error === undefined ? (check === undefined ? undefined : verdictOf(check)) : { tone: 'refused' as const, head: error.detail, reason: error.hint };
  return (
    <div id={id} className={styles.box} data-verdict={said?.tone ?? 'asking'} data-current={current} role="status">
      {said === undefined ? (
        <span className="dim">Asking whether it fits …</span>
      ) : (
        <>
          {about !== '' && said.tone !== 'fits' && `${about} `}
          <b>{said.head}</b> {said.reason}
        </>
      )}
      {(said === undefined || said.tone === 'fits') && children}
    </div>
  );
}
