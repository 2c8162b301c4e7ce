import { useQuery } from '@tanstack/react-query';
import { queries } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Host } from '../../api/types';
import { Meter } from '../../components/Meter';
import type { Checked } from '../../components/useCheck';
import { VerdictBox } from '../../components/VerdictBox';
import { barOf, showsGpus, type Bar } from '../../model/amounts';
import { quotaWith, type Draft } from '../../model/draft';
import styles from './Fits.module.css';

/** What would become of it, and what its owner holds afterwards. */
export function Fits({ id, draft, checked, host }: { id: string; draft: Draft; checked: Checked; host: Host }) {
  const client = useClient();
  const { data: quota } = useQuery(queries.quota(client));
  const after = quota && quotaWith(quota, draft);
  const bars: [string, Bar][] =
    quota === undefined || after === undefined
      ? []
      : [
          ['CPU', barOf('CPU', after.cpus)],
          ['Memory', barOf('Memory', after.memory)],
          ...(draft.volume === undefined && after.storage.quota !== null ? [['Storage', barOf('Storage', after.storage)] as [string, Bar]] : []),
          ...(showsGpus(quota, host.gpus) ? [['GPUs', barOf('GPUs', after.gpus)] as [string, Bar]] : []),
        ];
  const short = bars.filter(([, bar]) => (bar.heldShare ?? 0) > 1);
  return (
    <VerdictBox id={id} checked={checked}>
      {bars.length > 0 && ' Afterwards limits hold'}
      {bars.map(([name, bar]) => (
        <div key={name} className={`small numbers ${styles.line}`} title={bar.sentence}>
          <span>
            {name} {bar.value} {bar.rest}
          </span>
          {bar.heldShare !== undefined && <Meter held={bar.heldShare} tone={bar.heldShare > 1 ? 'warn' : 'use'} />}
        </div>
      ))}
      {short.length > 0 && <p className={`small ${styles.short}`}>More than there is: all together may run short.</p>}
    </VerdictBox>
  );
}
