// Which of its two kinds of address a workspace is opened at. A host of its own below localhost keeps workspaces apart,
// but some systems do not resolve such names; a path on the loopback address works everywhere.
import type { Address, Host } from '../api/types';

const probeTimeout = 1_500;

export interface ProbeSurroundings {
  /** Name under which the page itself was reached. */
  hostname: string;
  fetch: typeof fetch;
}

/** Asks once whether the names resolve in this browser. undefined: the page was reached from elsewhere, the server chooses. */
export async function probeAddress(access: Host['access'], { hostname, fetch }: ProbeSurroundings): Promise<Address | undefined> {
  if (!isLoopbackName(hostname)) return undefined;
  try {
    await fetch(`http://probe.${access.host_suffix}:${access.port}/_lab/ping`, {
      mode: 'no-cors',
      cache: 'no-store',
      signal: AbortSignal.timeout(probeTimeout),
    });
    return 'host';
  } catch {
    return 'loopback';
  }
}

export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
