// What is said of the configuration file above every page.
import type { ConfigStatus } from '../api/types';

/** "2 settings changed: quota.user.running 3 → 6, …" and which of them do not act yet; '' when nothing changed. */
export function changesText(status: ConfigStatus): { head: string; changes: { key: string; text: string; live: boolean }[] } | undefined {
  if (status.loaded_at === null || status.changes.length === 0) return undefined;
  return {
    head: status.changes.length === 1 ? '1 setting changed' : `${status.changes.length} settings changed`,
    changes: status.changes.map(({ key, before, after, live }) => ({ key, text: `${before === '' ? '(not set)' : before} → ${after === '' ? '(not set)' : after}`, live })),
  };
}

const hour = 3_600_000;

/** What was changed long ago is no news for who opens the page now. */
export function isNews(status: Pick<ConfigStatus, 'loaded_at'>, now: number): boolean {
  return status.loaded_at !== null && now - Date.parse(status.loaded_at) < hour;
}
