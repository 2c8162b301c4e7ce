import { useEffect, useState } from 'react';
import type { ApiError } from '../../api/client';
import { useClient } from '../../api/context';
import { LogBuffer } from '../../model/logBuffer';

export interface Log {
  lines: string[];
  dropped: number;
  /** Text has arrived, or the log turned out to be empty. */
  loaded: boolean;
  error: ApiError | undefined;
}

const nothingYet: Log = { lines: [], dropped: 0, loaded: false, error: undefined };
const lines = 5_000;
const retryAfter = 2_000;

/** Follows the log of a workspace. While it is alive an ended stream is taken up again: a restart ends it too. */
export function useLog(id: string, alive: boolean): Log {
  const client = useClient();
  const [log, setLog] = useState(nothingYet);

  useEffect(() => {
    let stop: () => void = () => undefined;
    let frame: number | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;

    const follow = (): void => {
      const buffer = new LogBuffer(lines);
      const show = (error?: ApiError): void => {
        frame = undefined;
        setLog({ lines: buffer.lines(), dropped: buffer.dropped, loaded: true, error });
      };
      stop = client.followLogs(id, lines, {
        onOpen: () => {
          frame ??= requestAnimationFrame(() => show());
        },
        onText: (text) => {
          buffer.append(text);
          // A chatty log is drawn once a frame, not once a line.
          frame ??= requestAnimationFrame(() => show());
        },
        onEnd: (error) => {
          if (frame !== undefined) cancelAnimationFrame(frame);
          show(error);
          if (alive) retry = setTimeout(follow, retryAfter);
        },
      });
    };
    follow();
    return () => {
      stop();
      clearTimeout(retry);
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [client, id, alive]);

  return log;
}
