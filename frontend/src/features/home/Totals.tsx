import { useQuery } from '@tanstack/react-query';
import { queries } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Host, Workspace } from '../../api/types';
import { Total, Totals as Bars } from '../../components/Total';
import { barOf, showsGpus, totalUse, type Bar } from '../../model/amounts';
import { formatNumber } from '../../model/format';
import { holdsResources } from '../../model/state';

/** What is used, what limits hold, and what may be had in all. */
export function Totals({ workspaces, host }: { workspaces: Workspace[]; host: Host | undefined }) {
  const client = useClient();
  const { data: quota } = useQuery(queries.quota(client));
  const { data: use } = useQuery({ ...queries.use, select: totalUse });
  const unknown = host?.reachable === false;
  const running = workspaces.filter(holdsResources).length;
  return (
    <Bars>
      <Total name="Running" bar={runningBar(running, workspaces.length, quota?.running.quota ?? null, quota?.waiting ?? 0)} unknown={unknown} solid />
      {quota !== undefined && (
        <>
          <Total name="CPU" bar={barOf('CPU', quota.cpus, use?.cpus)} unknown={unknown} />
          <Total name="Memory" bar={barOf('Memory', quota.memory, use?.memory)} unknown={unknown} />
          <Total name="Storage" bar={barOf('Storage', quota.storage)} unknown={unknown} />
          {showsGpus(quota, host?.gpus ?? 0) && <Total name="GPUs" bar={barOf('GPUs', quota.gpus)} unknown={unknown} solid />}
        </>
      )}
    </Bars>
  );
}

/** How many run, of the quota or else of those there are. */
function runningBar(running: number, all: number, quota: number | null, waiting: number): Bar {
  const whole = quota ?? all;
  const whose = quota === null ? `of your ${formatNumber(all)} workspaces` : `of the ${formatNumber(quota)} that your quota allows at once`;
  return {
    value: formatNumber(running),
    rest: `of ${formatNumber(whole)}`,
    held: waiting > 0 ? `${formatNumber(waiting)} ${waiting === 1 ? 'waits' : 'wait'}` : '',
    usedShare: whole > 0 ? running / whole : 0,
    heldShare: undefined,
    warn: false,
    sentence: `${formatNumber(running)} ${whose} run${waiting > 0 ? `; ${formatNumber(waiting)} wait for their turn` : ''}.`,
  };
}
