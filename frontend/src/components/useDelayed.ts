import { useEffect, useState } from 'react';

/** True once the condition has held for so long: what is quick shows no placeholder at all. */
export function useDelayed(condition: boolean, delay = 400): boolean {
  const [passed, setPassed] = useState(false);
  useEffect(() => {
    if (!condition) return undefined;
    const timer = setTimeout(() => setPassed(true), delay);
    return () => {
      clearTimeout(timer);
      setPassed(false);
    };
  }, [condition, delay]);
  return condition && passed;
}
