import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { queries } from '../api/cache';
import { useClient } from '../api/context';
import { lookOf } from '../model/state';

/** Says changes of state to who does not see them. */
export function Announcer() {
  const client = useClient();
  const { data: workspaces } = useQuery(queries.workspaces(client));
  const before = useRef<Map<string, string> | undefined>(undefined);
  const [news, setNews] = useState('');

  useEffect(() => {
    if (workspaces === undefined) return;
    const now = new Map(workspaces.map((workspace) => [workspace.id, lookOf(workspace).word]));
    const known = before.current;
    before.current = now;
    if (known === undefined) return;
    const changed = workspaces.filter((workspace) => known.get(workspace.id) !== now.get(workspace.id));
    if (changed.length > 0) setNews(changed.map((workspace) => `${workspace.display_name}: ${lookOf(workspace).word}. ${workspace.reason}`).join(' '));
  }, [workspaces]);

  return (
    <div className="spoken" aria-live="polite">
      {news}
    </div>
  );
}
