import type { Host, Workspace } from '../../api/types';
import { ActsWord } from '../../components/LimitWords';
import { Meter } from '../../components/Meter';
import { holdingWith, type Draft } from '../../model/draft';
import { formatNumber, gigabytes } from '../../model/format';
import styles from './Fits.module.css';

/** Answers before anybody asks: what limits hold of the machine once this one runs too. */
export function Fits({ draft, workspaces, host }: { draft: Draft; workspaces: Workspace[]; host: Host }) {
  const holding = holdingWith(draft, workspaces, host);
  return (
    <>
      <div className={styles.fits} data-fits={holding.fits} aria-live="polite">
        {holding.fits ? (
          <>
            <b>Fits.</b> Afterwards limits hold
          </>
        ) : (
          <>
            <b>More than this machine has.</b> It starts, but all together may run short. Afterwards limits hold
          </>
        )}
        <div className={`small ${styles.line}`}>
          CPU {formatNumber(holding.cpus)} of {formatNumber(host.cpus)}
          <Meter held={holding.cpus / host.cpus} tone={holding.cpus > host.cpus ? 'warn' : 'use'} />
        </div>
        <div className={`small ${styles.line}`}>
          Memory {gigabytes(holding.memory)} of {gigabytes(host.memory)} GB
          <Meter held={holding.memory / host.memory} tone={holding.memory > host.memory ? 'warn' : 'use'} />
        </div>
      </div>
      <p className="small dim">
        CPU and memory <ActsWord limit={host.limits.cpus} />
      </p>
    </>
  );
}
