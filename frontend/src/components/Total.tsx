import type { ReactNode } from 'react';
import type { Bar } from '../model/amounts';
import { Meter } from './Meter';
import styles from './Total.module.css';

/** Bars beside each other, above what they sum up. */
export function Totals({ children }: { children: ReactNode }) {
  return <dl className={styles.totals}>{children}</dl>;
}

/** One of them. A solid one has a single tone: what it counts is not used by parts. */
export function Total({ name, bar, unknown = false, solid = false }: { name: string; bar: Bar; unknown?: boolean; solid?: boolean }) {
  const shares = solid ? { used: bar.usedShare ?? bar.heldShare ?? 0 } : { ...(bar.usedShare === undefined ? {} : { used: bar.usedShare }), ...(bar.heldShare === undefined ? {} : { held: bar.heldShare }) };
  return (
    <div className={styles.total} title={unknown ? undefined : bar.sentence}>
      <dt className="small dim">{name}</dt>
      <dd>
        <span aria-hidden="true">
          <b>{unknown ? '–' : bar.value}</b> <span className="dim">{bar.rest}</span>
          {bar.held !== '' && !unknown && <span className={`small ${styles.held}`}>{bar.held}</span>}
        </span>
        <span className="spoken">{unknown ? 'not known' : bar.sentence}</span>
        <div className={styles.meter}>{bar.rest.startsWith('of') && <Meter {...shares} tone={bar.warn && !solid ? 'warn' : 'use'} />}</div>
      </dd>
    </div>
  );
}
