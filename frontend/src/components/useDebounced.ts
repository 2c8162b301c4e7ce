import { useEffect, useState } from 'react';

/** A value once it has rested: what is typed is asked about when the hand stops. */
export function useDebounced<T>(value: T, delay = 250): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return rested;
}
