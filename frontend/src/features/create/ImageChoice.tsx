import TextField from '@mui/material/TextField';
import { useId } from 'react';
import type { Image } from '../../api/types';
import { Initials } from '../../components/Initials';
import type { Draft } from '../../model/draft';
import styles from './ImageChoice.module.css';

interface Props {
  images: Image[];
  draft: Pick<Draft, 'image' | 'anyImage'>;
  onChange: (part: Partial<Draft>) => void;
  problem: string | undefined;
}

export function ImageChoice({ images, draft, onChange, problem }: Props) {
  const group = useId();
  return (
    <fieldset className={styles.group}>
      <legend className={styles.legend}>What to run</legend>
      <div className={styles.cards}>
        {images.map((image) => (
          <Card key={image.image} group={group} name={image.name} note={image.note} title={image.description} checked={draft.image?.image === image.image} onChoose={() => onChange({ image })} />
        ))}
        <Card group={group} name="Any image" note="by name" title="" initials="…" checked={draft.image === undefined} onChoose={() => onChange({ image: undefined })} />
      </div>
      {draft.image === undefined && (
        <TextField
          className={styles.any ?? ''}
          fullWidth
          required
          value={draft.anyImage}
          placeholder="quay.io/jupyter/scipy-notebook:latest"
          onChange={(event) => onChange({ anyImage: event.target.value })}
          error={problem !== undefined}
          helperText={problem ?? 'As you would say to docker pull.'}
          slotProps={{ htmlInput: { 'aria-label': 'Name of the image', className: 'mono', spellCheck: false, autoCapitalize: 'off', maxLength: 2000 } }}
        />
      )}
    </fieldset>
  );
}

interface CardProps {
  group: string;
  name: string;
  note: string;
  title: string;
  initials?: string;
  checked: boolean;
  onChoose: () => void;
}

function Card({ group, name, note, title, initials = name, checked, onChoose }: CardProps) {
  return (
    <label className={styles.card} title={title === '' ? undefined : title}>
      <input className="spoken" type="radio" name={group} checked={checked} onChange={onChoose} />
      <Initials of={initials} />
      <span>
        <b>{name}</b>
        <span className={`small dim ${styles.note}`}>{note}</span>
      </span>
    </label>
  );
}
