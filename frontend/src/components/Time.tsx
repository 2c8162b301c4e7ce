import { formatAgo, formatDuration, formatExact, formatFor } from '../model/format';
import { useNow } from './useNow';

/** "26 min ago", with the exact time when the pointer rests on it. */
export function Ago({ time }: { time: string }) {
  const now = useNow();
  return (
    <time dateTime={time} title={formatExact(time)}>
      {formatAgo(time, now)}
    </time>
  );
}

/** "for 26 min", with the exact time when the pointer rests on it. */
export function Since({ time }: { time: string }) {
  const now = useNow();
  return (
    <time dateTime={time} title={`since ${formatExact(time)}`}>
      {formatFor(time, now)}
    </time>
  );
}

/** How long something took, or takes so far. */
export function Took({ from, to }: { from: string; to: string | null }) {
  return <>{to === null ? <Running from={from} /> : formatDuration(Date.parse(to) - Date.parse(from))}</>;
}

function Running({ from }: { from: string }) {
  const now = useNow(1_000);
  return <>{formatDuration(Math.max(0, now - Date.parse(from)))}</>;
}
