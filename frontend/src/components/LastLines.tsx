import { useLayoutEffect, useRef } from 'react';

/** The end of a log, scrolled to where the cause stands: its last line. */
export function LastLines({ lines, label, className }: { lines: string[]; label: string; className: string | undefined }) {
  const box = useRef<HTMLPreElement>(null);
  const text = lines.join('\n');
  useLayoutEffect(() => box.current?.scrollTo({ top: box.current.scrollHeight }), [text]);
  return (
    <pre ref={box} className={className ?? ''} tabIndex={0} aria-label={label}>
      {text}
    </pre>
  );
}
