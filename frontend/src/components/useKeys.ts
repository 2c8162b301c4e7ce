import { useEffect, useRef } from 'react';

export type KeyMap = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const moves = new Set(['j', 'k', 'ArrowDown', 'ArrowUp']);

/**
 * Single keys for the whole page, by their names ("n", "/", "ArrowDown", "Ctrl+k"). They rest while somebody types, while a
 * menu or dialog is open, and for combinations that belong to the browser.
 */
export function useKeys(map: KeyMap): void {
  const current = useRef(map);
  useEffect(() => {
    current.current = map;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const command = event.ctrlKey || event.metaKey;
      if (command && event.shiftKey) return;
      const handler = current.current[command ? `Ctrl+${event.key.toLowerCase()}` : event.key];
      if (handler === undefined || event.defaultPrevented || event.altKey || isOverlayOpen()) return;
      if (isTyping(event.target) && !(command && event.key.toLowerCase() === 'k')) {
        if (event.key === 'Escape') (event.target as HTMLElement).blur();
        return; // Ctrl+Z, too, is about what was typed
      }
      if (event.repeat && !moves.has(event.key)) return; // a key that is held asks once
      handler(event);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

function isOverlayOpen(): boolean {
  return document.querySelector('[role="dialog"], [role="menu"], [role="listbox"]') !== null;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));
}
