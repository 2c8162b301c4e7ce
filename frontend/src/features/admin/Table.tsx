import type { ReactNode } from 'react';
import styles from './Admin.module.css';

/** A framed table with the given columns; on narrow screens each row becomes a card. */
export function Table({ titleId, columns, children }: { titleId: string; columns: readonly ReactNode[]; children: ReactNode }) {
  return (
    <div className={styles.frame}>
      <table className={styles.table} aria-labelledby={titleId}>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th key={index} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
