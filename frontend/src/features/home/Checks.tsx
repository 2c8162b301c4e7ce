import type { Host, Limits } from '../../api/types';
import { StepDot } from '../../components/StepDot';
import { useAdmin } from '../../components/useAdmin';
import { useHost } from '../../components/useHost';
import { formatCpus, formatMB } from '../../model/format';
import { engineName } from '../../model/lab';
import styles from './Checks.module.css';

interface Check {
  state: 'done' | 'failed' | 'warn';
  what: string;
  evidence: string;
}

/** What a start needs of the machine, each with its evidence. */
export function Checks() {
  const host = useHost();
  const admin = useAdmin();
  if (host === undefined) return null;
  return (
    <ul className={`card ${styles.checks}`} aria-label="Checks">
      {checksOf(host, admin || !host.in_lab).map((check) => (
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

/** notes: whether what an administrator should know is for who looks. */
export function checksOf(host: Host, notes = true): Check[] {
  if (!host.reachable) {
    return [{ state: 'failed', what: host.reason === '' ? `${engineName(host)} does not answer` : host.reason, evidence: host.action }];
  }
  const machine = [host.os, formatCpus(host.cpus), formatMB(host.memory)].filter((part) => part !== '').join(', ');
  return [
    // How we reach a lab is nothing that its users could use.
    { state: 'done', what: `${engineName(host)} answers`, evidence: host.in_lab ? host.version : `${host.version} at ${host.endpoint}` },
    ...(host.cpus > 0 ? [{ state: 'done' as const, what: 'Machine', evidence: machine }] : []),
    { state: 'done', what: 'Limits hold', evidence: limitsEvidence(host.limits, host.can.limits) },
    ...(notes ? host.notes.map((note) => ({ state: 'warn' as const, what: note, evidence: '' })) : []),
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

function limitsEvidence(limits: Limits, processes: boolean): string {
  const named = (acts: string): string => limitNames.filter(([key]) => limits[key].acts === acts && (key !== 'processes' || processes)).map(([, name]) => name).join(', ');
  const parts = [`${named('enforced')} enforced`];
  if (named('watched') !== '') parts.push(`${named('watched')} watched`);
  if (named('engine') !== '') parts.push(`${named('engine')} left to ML Lab`);
  return parts.join('; ');
}
