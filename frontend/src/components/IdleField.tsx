import type { Limit } from '../api/types';
import { formatIdle } from '../model/format';
import { idleWarning, shortestSureIdle } from '../model/lab';
import { ChoiceChips } from './ChoiceChips';
import { LimitField } from './LimitField';
import { useHost } from './useHost';
import styles from './IdleField.module.css';

interface Props {
  label: React.ReactNode;
  labelHidden?: boolean;
  limit: Limit;
  value: number;
  /** What it was before, which may stay although it is above the limit. */
  before?: number;
  onChange: (seconds: number) => void;
  problem?: string | undefined;
}

/** After how long without use it stops: one of the choices, or minutes where there are none. */
export function IdleField(props: Props) {
  const warning = useHost()?.can.idle === false ? idleWarning(props.value) : '';
  return (
    <>
      <Timeout {...props} />
      {warning !== '' && (
        <p className={`small ${styles.warning}`} data-warn={props.value < shortestSureIdle}>
          {warning}
        </p>
      )}
    </>
  );
}

function Timeout({ label, labelHidden = false, limit, value, before = 0, onChange, problem }: Props) {
  if (limit.choices.length === 0) {
    return (
      <div>
        {!labelHidden && <h2>{label}</h2>}
        <LimitField label="Stop after so many minutes without use" labelHidden limit={limit} value={value} before={before} onChange={onChange} problem={problem} hint={limit.max > 0 ? '' : '0 keeps it running.'} mayBeZero />
      </div>
    );
  }
  const choices = [...new Set([...limit.choices, value])].sort((a, b) => (a || Infinity) - (b || Infinity));
  return (
    <div>
      <ChoiceChips
        label={label}
        labelHidden={labelHidden}
        value={String(value)}
        choices={choices.map((seconds) => ({ value: String(seconds), label: formatIdle(seconds) }))}
        onChange={(seconds) => onChange(Number(seconds))}
      />
      {problem !== undefined && <p className="small">{problem}</p>}
    </div>
  );
}
