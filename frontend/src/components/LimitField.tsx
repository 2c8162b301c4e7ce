import InputAdornment from '@mui/material/InputAdornment';
import MenuItem from '@mui/material/MenuItem';
import TextField from '@mui/material/TextField';
import { useState } from 'react';
import type { Limit } from '../api/types';
import { formatCpus, formatMB, formatNumber } from '../model/format';

interface Props {
  label: string;
  /** The name stands beside the field already. */
  labelHidden?: boolean;
  limit: Limit;
  value: number;
  onChange: (value: number) => void;
  problem?: string | undefined;
}

/** A number within a limit: one of its choices where there are some, else free up to its maximum. Sizes are typed in GB. */
export function LimitField({ label, labelHidden = false, limit, value, onChange, problem = '' }: Props) {
  const inGigabytes = limit.unit === 'MB';
  const scale = inGigabytes ? 1000 : 1;
  const [typed, setTyped] = useState<string | undefined>();
  const format = inGigabytes ? formatMB : formatCpus;

  if (limit.choices.length > 0) {
    const choices = [...new Set([...limit.choices, limit.default, value])].sort((a, b) => a - b);
    return (
      <TextField select fullWidth {...(labelHidden ? {} : { label })} slotProps={{ select: { SelectDisplayProps: { 'aria-label': label } } }} value={value} error={problem !== ''} helperText={problem} onChange={(event) => onChange(Number(event.target.value))}>
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
      required
      value={typed ?? String(value / scale)}
      error={problem !== ''}
      helperText={problem !== '' ? problem : limit.max > 0 ? `Up to ${format(limit.max)}` : ''}
      onChange={(event) => {
        setTyped(event.target.value);
        const number = Number(event.target.value);
        if (event.target.value.trim() !== '' && Number.isFinite(number)) onChange(Math.round(number * scale * 100) / 100);
      }}
      onBlur={() => setTyped(undefined)}
      slotProps={{
        inputLabel: { required: false },
        htmlInput: { 'aria-label': label, min: 0, step: 'any', ...(limit.max > 0 ? { max: limit.max / scale } : {}), 'aria-description': limit.max > 0 ? `at most ${formatNumber(limit.max / scale)}` : undefined },
        input: { endAdornment: <InputAdornment position="end">{inGigabytes ? 'GB' : limit.unit}</InputAdornment> },
      }}
    />
  );
}
