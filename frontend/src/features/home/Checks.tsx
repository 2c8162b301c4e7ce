import { useQuery } from '@tanstack/react-query';
import { queries } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Host, Limits } from '../../api/types';
import { StepDot } from '../../components/StepDot';
import { formatCpus, formatMB } from '../../model/format';
import styles from './Checks.module.css';

interface Check {
  state: 'done' | 'failed' | 'warn';
  what: string;
  evidence: string;
}

/** What a start needs of the machine, each with its evidence. */
export function Checks() {
  const client = useClient();
  const { data: host } = useQuery(queries.host(client));
  if (host === undefined) return null;
  return (
    <ul className={`card ${styles.checks}`} aria-label="Checks">
      {checksOf(host).map((check) => (
        <li key={check.what} className={styles.check}>
          <StepDot state={check.state} />
          <span>
            {check.what} <span className="small dim">{check.evidence}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

export function checksOf(host: Host): Check[] {
  if (!host.reachable) {
    return [{ state: 'failed', what: host.reason === '' ? 'Docker does not answer' : host.reason, evidence: host.action }];
  }
  const machine = [host.os, formatCpus(host.cpus), formatMB(host.memory)].filter((part) => part !== '').join(', ');
  return [
    { state: 'done', what: 'Docker answers', evidence: `${host.version} at ${host.endpoint}` },
    { state: 'done', what: 'Machine', evidence: machine },
    { state: 'done', what: 'Limits hold', evidence: limitsEvidence(host.limits) },
    ...host.notes.map((note) => ({ state: 'warn' as const, what: note, evidence: '' })),
  ];
}

const limitNames: [keyof Limits, string][] = [
  ['cpus', 'CPU'],
  ['memory', 'memory'],
  ['processes', 'processes'],
  ['volume_size', 'size of files'],
  ['container_size', 'size of the container'],
  ['idle_timeout', 'idle timeout'],
];

function limitsEvidence(limits: Limits): string {
  const named = (acts: string): string => limitNames.filter(([key]) => limits[key].acts === acts).map(([, name]) => name).join(', ');
  const parts = [`${named('enforced')} enforced`];
  if (named('watched') !== '') parts.push(`${named('watched')} watched`);
  return parts.join('; ');
}
