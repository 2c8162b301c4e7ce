import type { Progress, Step } from '../../api/types';
import { LastLines } from '../../components/LastLines';
import { ProgressMeter } from '../../components/Meter';
import { StepDot } from '../../components/StepDot';
import { Took } from '../../components/Time';
import { shareOf } from '../../model/state';
import styles from './StepList.module.css';

/** The steps of a start, one line each; the one that is going on or failed says more. */
export function StepList({ progress }: { progress: Progress }) {
  return (
    <ol className={`card ${styles.steps}`} aria-label="Steps">
      {progress.steps.map((step, index) => (
        <StepLine key={`${step.id}-${index}`} step={step} />
      ))}
    </ol>
  );
}

function StepLine({ step }: { step: Step }) {
  const open = step.state === 'now' || step.state === 'failed';
  return (
    <li className={styles.step} data-state={step.state} aria-current={step.state === 'now' ? 'step' : undefined}>
      <StepDot state={step.state} />
      <div className={styles.body}>
        <span className={styles.title}>{step.title}</span>
        {step.detail !== '' && <span className="dim numbers"> {step.detail}</span>}
        {step.state === 'now' && (
          <div className={styles.meter}>
            <ProgressMeter share={shareOf(step)} label={step.title} />
          </div>
        )}
        {open && step.log.length > 0 && <LastLines className={styles.log} label={`Last lines of ${step.title}`} lines={step.log} />}
      </div>
      <span className="small faint numbers">{step.started_at !== null && <Took from={step.started_at} to={step.ended_at} />}</span>
    </li>
  );
}
