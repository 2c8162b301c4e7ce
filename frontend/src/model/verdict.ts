// What the server says would become of a request, in words.
import type { Check } from '../api/types';
import { sentenceOf } from './rowLine';

export interface Verdict {
  tone: 'fits' | 'waits' | 'refused';
  head: string;
  reason: string;
}

export function verdictOf(check: Check): Verdict {
  switch (check.verdict) {
    case 'fits':
      return { tone: 'fits', head: 'Fits.', reason: check.reason };
    case 'waits':
      return { tone: 'waits', head: check.position > 0 ? `Waits, position ${check.position}.` : 'Waits.', reason: check.reason === '' ? sentenceOf(check.short) : check.reason };
    case 'refused':
      return { tone: 'refused', head: check.short === '' ? 'Not possible.' : sentenceOf(check.short), reason: check.reason };
  }
}
