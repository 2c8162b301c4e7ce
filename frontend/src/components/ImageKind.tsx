import MenuItem from '@mui/material/MenuItem';
import TextField from '@mui/material/TextField';
import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/cache';
import { errorOf } from '../api/client';
import { useClient } from '../api/context';
import { useComplaint } from './complaints';
import styles from './ImageKind.module.css';
import { useDebounced } from './useDebounced';
import { useHost } from './useHost';

interface Props {
  image: string;
  /** '' = as it is found to be. */
  profile: string;
  /** 0 = where the profile says. */
  port: number;
  onChange: (part: { profile?: string; port?: number }) => void;
  problems: Readonly<Record<string, string>>;
}

/** What kind of image it seems to be, why, and how to correct a wrong guess. */
export function ImageKind({ image, profile, port, onChange, problems }: Props) {
  const client = useClient();
  const looks = useHost()?.can.images !== false;
  const { data: profiles = [] } = useQuery(queries.profiles(client));
  const asked = useDebounced(image.trim());
  const found = useQuery({
    queryKey: ['detect', asked],
    queryFn: ({ signal }) => client.detectImage(asked, signal),
    enabled: asked !== '',
    retry: false,
    staleTime: 30_000,
  });
  const complaint = useComplaint(() => 'A port is a whole number from 1 to 65535.');
  const portProblem = complaint.text !== '' ? complaint.text : (problems.port ?? '');
  const proposal = asked === '' || asked !== image.trim() ? undefined : found.data;
  const titleOf = (name: string): string => profiles.find((one) => one.name === name)?.title ?? name;
  const chosen = profiles.find((one) => one.name === (profile === '' ? proposal?.profile : profile));
  const usualPort = (profile === '' ? proposal?.port : undefined) || (chosen?.port ?? 0);
  const asFound = proposal === undefined || proposal.profile === '' ? (looks ? 'Find out at the first start' : 'Like ML Lab’s own images') : `As found: ${titleOf(proposal.profile)}`;
  return (
    <div className={styles.kind}>
      {image.trim() !== '' && (
        <p className="small" role="status">
          {proposal !== undefined ? (
            <>
              {proposal.why}
              {proposal.profile !== '' && <b> → {titleOf(proposal.profile)}</b>}
              {!proposal.sure && proposal.profile !== '' && <span className="dim"> This is a guess; correct it below if it is wrong.</span>}
            </>
          ) : (
            <span className="dim">{found.isError ? errorOf(found.error).message : 'Looking at the image …'}</span>
          )}
        </p>
      )}
      <div className={styles.pair}>
        <TextField
          select
          fullWidth
          value={profile === 'auto' ? '' : profile}
          onChange={(event) => onChange({ profile: event.target.value })}
          error={problems.profile !== undefined}
          helperText={problems.profile ?? chosen?.note ?? ''}
          label="Kind of image"
          slotProps={{ inputLabel: { shrink: true }, select: { displayEmpty: true } }}
        >
          <MenuItem value="">{asFound}</MenuItem>
          {profile !== '' && profile !== 'auto' && !profiles.some((one) => one.name === profile) && <MenuItem value={profile}>{profile}</MenuItem>}
          {profiles.map((one) => (
            <MenuItem key={one.name} value={one.name}>
              {one.title} <span className="faint">&nbsp;· {one.name}</span>
            </MenuItem>
          ))}
        </TextField>
        <TextField
          fullWidth
          type="number"
          label="Port"
          value={port === 0 ? '' : String(port)}
          placeholder={usualPort === 0 ? 'as found' : String(usualPort)}
          onChange={(event) => {
            onChange({ port: Math.round(Number(event.target.value)) });
            complaint.forget();
          }}
          error={portProblem !== ''}
          helperText={portProblem !== '' ? portProblem : 'Where its IDE listens.'}
          slotProps={{ inputLabel: { shrink: true }, htmlInput: { onInvalid: complaint.onInvalid, min: 1, max: 65_535 } }}
        />
      </div>
    </div>
  );
}
