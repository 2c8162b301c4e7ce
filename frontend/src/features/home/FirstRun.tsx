import Button from '@mui/material/Button';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { queries } from '../../api/cache';
import { useClient } from '../../api/context';
import type { Image } from '../../api/types';
import { useReadOnly } from '../../components/Banner';
import { Initials } from '../../components/Initials';
import { useHost } from '../../components/useHost';
import { useWhose } from '../../components/user';
import { nameForImage, proposeName } from '../../model/propose';
import { pathTo } from '../../paths';
import { useReported } from '../actions/notices';
import { useCreate } from '../create/useCreate';
import { Checks } from './Checks';
import styles from './FirstRun.module.css';

/** The empty home: something runs with one click, and what could stand in the way is said before. */
export function FirstRun({ user }: { user: string }) {
  const client = useClient();
  const navigate = useNavigate();
  const readOnly = useReadOnly();
  const host = useHost();
  const { me, owner } = useWhose();
  const { data: images = [] } = useQuery(queries.images(client));
  return (
    <div className={styles.page}>
      <h1>{owner.id === me.id ? 'Your first workspace' : 'The first workspace'}</h1>
      <p className="dim">Your files stay in a volume when a workspace stops.{host?.in_lab === false && ' Nothing leaves this machine.'}</p>
      <ul className={styles.cards}>
        {images.map((image) => (
          <ImageCard key={image.image} image={image} readOnly={readOnly} />
        ))}
        <li className="card">
          <Initials of="…" />
          <h2>Any image</h2>
          <p className="small dim">docker-stacks, RStudio, ml-workspace, your own.</p>
          <Button disabled={readOnly} onClick={() => void navigate(`${pathTo.create(user)}?image=any`)}>
            Choose
          </Button>
        </li>
      </ul>
      <Checks />
    </div>
  );
}

function ImageCard({ image, readOnly }: { image: Image; readOnly: boolean }) {
  const create = useCreate();
  const reported = useReported();
  const [busy, setBusy] = useState(false);
  const start = async (): Promise<void> => {
    setBusy(true);
    await reported(() => create({ display_name: proposeName(nameForImage(image.name), []), container_image: image.image, profile: image.profile }));
    setBusy(false);
  };
  return (
    <li className="card">
      <Initials of={image.name} />
      <h2>{image.name}</h2>
      <p className="small dim">
        {image.description}
        <span className={styles.note}>{image.note}</span>
      </p>
      <Button {...(image.default ? { variant: 'contained', color: 'primary' } : {})} disabled={busy || readOnly} onClick={start} aria-label={`Start ${image.name}`}>
        Start
      </Button>
    </li>
  );
}
