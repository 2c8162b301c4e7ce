// A tab that is opened by a click and gets its address later: browsers only let scripts open tabs while a click is handled.

export interface WaitingTab {
  /** Says what the tab waits for. */
  tell: (text: string) => void;
  go: (address: string) => void;
  close: () => void;
}

/** undefined: the browser did not let us. */
export function openWaitingTab(text: string): WaitingTab | undefined {
  const tab = window.open('about:blank', '_blank');
  if (tab === null) return undefined;
  const tell = (now: string): void => {
    if (tab.closed) return;
    tab.document.title = now;
    tab.document.body.textContent = now;
  };
  tell(text);
  tab.document.body.style.font = '14px/20px system-ui, sans-serif';
  tab.document.body.style.margin = '24px';
  tab.document.documentElement.style.colorScheme = 'light dark';
  return {
    tell,
    go: (address) => {
      if (tab.closed) return;
      // What runs in the workspace must not reach this page.
      tab.opener = null;
      tab.location.replace(address);
    },
    close: () => tab.close(),
  };
}
