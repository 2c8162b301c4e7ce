import { useId } from 'react';
import styles from './ChoiceChips.module.css';

interface Props<T extends string> {
  label: React.ReactNode;
  labelHidden?: boolean;
  value: T;
  choices: readonly { value: T; label: React.ReactNode }[];
  onChange: (value: T) => void;
}

/** One of a few, all in sight. Radio buttons underneath, so that arrows and readers know what to do. */
export function ChoiceChips<T extends string>({ label, labelHidden = false, value, choices, onChange }: Props<T>) {
  const name = useId();
  return (
    <fieldset className={styles.group}>
      <legend className={labelHidden ? 'spoken' : styles.legend}>{label}</legend>
      <div className={styles.chips}>
        {choices.map((choice) => (
          <label key={choice.value} className={styles.chip}>
            <input className="spoken" type="radio" name={name} checked={choice.value === value} onChange={() => onChange(choice.value)} />
            {choice.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
