import InputAdornment from '@mui/material/InputAdornment';
import MenuItem from '@mui/material/MenuItem';
import TextField from '@mui/material/TextField';
import { useState } from 'react';
import type { Limit } from '../api/types';
import { formatCpus, formatDuration, formatMB, formatNumber } from '../model/format';
import { useComplaint } from './complaints';

interface Props {
  label: string;
  /** The name stands beside the field already. */
  labelHidden?: boolean;
  limit: Limit;
  value: number;
  /** What it was before, which may stay although it is above the limit. */
  before?: number;
  onChange: (value: number) => void;
  problem?: string | undefined;
  /** What a value means, below the field. */
  hint?: string;
  /** Whether 0 is an answer. Elsewhere it would be taken for nothing said. */
  mayBeZero?: boolean;
}

/** A number within a limit: one of its choices where there are some, else free up to its maximum. Sizes are typed in GB, times in minutes. */
export function LimitField({ label, labelHidden = false, limit, value, before = 0, onChange, problem = '', hint = '', mayBeZero = false }: Props) {
  const inGigabytes = limit.unit === 'MB';
  const inMinutes = limit.unit === 's';
  const scale = inGigabytes ? 1000 : inMinutes ? 60 : 1;
  const [typed, setTyped] = useState<string | undefined>();
  const format = inGigabytes ? formatMB : limit.unit === 'CPUs' ? formatCpus : inMinutes ? (seconds: number) => formatDuration(seconds * 1000) : formatNumber;
  const least = mayBeZero ? 0 : limit.unit === 'CPUs' ? 0.01 : 1;
  const tooMuch = limit.max > 0 ? `At most ${format(limit.max)}.` : 'That is more than can be counted.';
  const tooLittle = mayBeZero ? 'Not below 0.' : `At least ${format(least)}.`;
  const complaint = useComplaint((validity) => (validity.rangeOverflow ? tooMuch : validity.rangeUnderflow ? (Number(typed) < 0 ? 'Not below 0.' : tooLittle) : 'A number is needed here.'));
  // What nobody could answer is not asked; the rest the server knows better.
  const unaskable = (number: number): string => (number > Number.MAX_SAFE_INTEGER ? tooMuch : number >= 0 && number < least ? tooLittle : '');
  const refused = typed === undefined || typed.trim() === '' ? '' : unaskable(Number(typed) * scale);
  const wrong = complaint.text !== '' ? complaint.text : refused !== '' ? refused : problem;
  const helper = wrong !== '' ? wrong : [limit.max > 0 ? `Up to ${format(limit.max)}` : '', hint].filter((part) => part !== '').join('. ');

  if (limit.choices.length > 0) {
    const choices = [...new Set([...limit.choices, limit.default, value])].sort((a, b) => a - b);
    return (
      <TextField select fullWidth {...(labelHidden ? {} : { label })} slotProps={{ select: { SelectDisplayProps: { 'aria-label': label } } }} value={value} error={problem !== ''} helperText={helper} onChange={(event) => onChange(Number(event.target.value))}>
        {choices.map((choice) => (
          <MenuItem key={choice} value={choice}>
            {format(choice)}
          </MenuItem>
        ))}
      </TextField>
    );
  }
  return (
    <TextField
      fullWidth
      {...(labelHidden ? {} : { label })}
      type="number"
      value={typed ?? String(value / scale)}
      error={wrong !== ''}
      helperText={helper}
      onChange={(event) => {
        setTyped(event.target.value);
        complaint.forget();
        const number = Number(event.target.value) * scale;
        if (event.target.value.trim() !== '' && unaskable(number) === '') onChange(Math.round(number * 100) / 100);
      }}
      onBlur={() => {
        if (refused === '') setTyped(undefined);
        complaint.forget();
      }}
      slotProps={{
        // Not of the whole: it would leave room for a star in the frame.
        htmlInput: { required: true, onInvalid: complaint.onInvalid, 'aria-label': label, min: least / scale, step: 'any', max: (limit.max > 0 ? Math.max(limit.max, before) : Number.MAX_SAFE_INTEGER) / scale, 'aria-description': limit.max > 0 ? `at most ${formatNumber(limit.max / scale)}` : undefined },
        input: { endAdornment: <InputAdornment position="end">{inGigabytes ? 'GB' : inMinutes ? 'min' : limit.unit}</InputAdornment> },
      }}
    />
  );
}
