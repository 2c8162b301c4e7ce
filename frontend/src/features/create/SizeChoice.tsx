import { useState } from 'react';
import type { Limits } from '../../api/types';
import { ChoiceChips } from '../../components/ChoiceChips';
import { LimitField } from '../../components/LimitField';
import type { Draft } from '../../model/draft';
import { labelOfSize, sizesFrom } from '../../model/propose';
import styles from './SizeChoice.module.css';

interface Props {
  limits: Limits;
  draft: Draft;
  onChange: (part: Partial<Draft>) => void;
  problems: Readonly<Record<string, string>>;
}

const own = 'own';

export function SizeChoice({ limits, draft, onChange, problems }: Props) {
  const sizes = sizesFrom(limits);
  const [choosesOwn, setChoosesOwn] = useState(false);
  const chosen = sizes.find((size) => size.cpus === draft.cpus && size.memory === draft.memory);
  return (
    <div>
      <ChoiceChips
        label="Size"
        value={choosesOwn || chosen === undefined ? own : chosen.word}
        choices={[...sizes.map((size) => ({ value: size.word, label: labelOfSize(size) })), { value: own, label: 'Own …' }]}
        onChange={(word) => {
          const size = sizes.find((one) => one.word === word);
          setChoosesOwn(size === undefined);
          if (size !== undefined) onChange({ cpus: size.cpus, memory: size.memory });
        }}
      />
      {choosesOwn && (
        <div className={styles.own}>
          <LimitField label="CPUs" limit={limits.cpus} value={draft.cpus} onChange={(cpus) => onChange({ cpus })} problem={problems['compute.cpus']} />
          <LimitField label="Memory" limit={limits.memory} value={draft.memory} onChange={(memory) => onChange({ memory })} problem={problems['compute.memory']} />
        </div>
      )}
    </div>
  );
}
