import TextField from '@mui/material/TextField';
import { useId } from 'react';
import type { Image } from '../../api/types';
import { useComplaint } from '../../components/complaints';
import { ImageKind } from '../../components/ImageKind';
import { Initials } from '../../components/Initials';
import type { Draft } from '../../model/draft';
import { noImage } from '../../model/problems';
import styles from './ImageChoice.module.css';

interface Props {
  images: Image[];
  /** Whether it is known which images are here, and what is in them. */
  here: boolean;
  draft: Pick<Draft, 'image' | 'anyImage' | 'profile' | 'port'>;
  onChange: (part: Partial<Draft>) => void;
  problems: Readonly<Record<string, string>>;
}

export function ImageChoice({ images, here, draft, onChange, problems }: Props) {
  const group = useId();
  const complaint = useComplaint(() => noImage);
  const imageProblem = complaint.text !== '' ? complaint.text : (problems.container_image ?? '');
  return (
    <fieldset className={styles.group}>
      <legend className={styles.legend}>What to run</legend>
      <div className={styles.cards}>
        {images.map((image) => (
          <Card key={image.image} group={group} name={image.name} note={image.note} title={[image.description, image.warning].filter((part) => part !== '').join(' ')} checked={draft.image?.image === image.image} onChoose={() => onChange({ image, profile: '', port: 0 })} />
        ))}
        <Card group={group} name="Another image …" note="by name" title="" initials="…" checked={draft.image === undefined} onChoose={() => onChange({ image: undefined, profile: '', port: 0 })} />
      </div>
      {draft.image !== undefined && draft.image.warning !== '' && <p className={`small ${styles.warning}`}>{draft.image.warning}</p>}
      {draft.image === undefined && (
        <>
        <TextField
          className={styles.any ?? ''}
          fullWidth
          required
          value={draft.anyImage}
          placeholder="quay.io/jupyter/scipy-notebook:latest"
          onChange={(event) => {
            onChange({ anyImage: event.target.value, profile: '', port: 0 });
            complaint.forget();
          }}
          error={imageProblem !== ''}
          helperText={imageProblem !== '' ? imageProblem : here ? 'As you would say to docker pull.' : 'With its registry and its tag. ML Lab gets it at the first start, which can take minutes.'}
          slotProps={{ htmlInput: { onInvalid: complaint.onInvalid, 'aria-label': 'Name of the image', className: 'mono', spellCheck: false, autoCapitalize: 'off', maxLength: 2000 } }}
        />
        <ImageKind image={draft.anyImage} profile={draft.profile} port={draft.port} onChange={onChange} problems={problems} />
        </>
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
