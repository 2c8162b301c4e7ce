import Button from '@mui/material/Button';
import { useEffect, useRef, useState } from 'react';
import type { Host, Workspace } from '../../api/types';
import { nextStepOf } from '../../model/state';
import { useActions } from './useActions';

/** Longer than the pause in anybody's double click. */
const calmTime = 600;

interface Props {
  workspace: Workspace;
  host: Host | undefined;
  /** In a list only Open stands out, and every button needs the name of its row. */
  inList?: boolean;
}

/** The one thing to do next. */
export function NextButton({ workspace, host, inList = false }: Props) {
  const actions = useActions();
  const [busy, setBusy] = useState(false);
  const step = nextStepOf(workspace, host?.limits.memory);
  const [calm, rest] = useCalm(step?.do);
  if (step === undefined) return null;
  const run = async (): Promise<void> => {
    if (calm) return;
    rest();
    setBusy(true);
    await actions.next(workspace, step);
    setBusy(false);
  };
  const standsOut = inList ? step.do === 'open' : step.do !== 'cancel';
  return (
    <Button
      {...(standsOut ? { variant: 'contained', color: 'primary' } : {})}
      disabled={busy}
      sx={calm ? { pointerEvents: 'none' } : {}}
      onClick={() => void run()}
      {...(inList ? { 'aria-label': `${step.label} ${workspace.display_name}` } : {})}
    >
      {step.label}
    </Button>
  );
}

/** For a moment after its meaning has changed, and after it was used, a button takes no click: the second one of a double click on Start would be on Cancel. */
function useCalm(meaning: string | undefined): [calm: boolean, rest: () => void] {
  const [calm, setCalm] = useState(false);
  const before = useRef(meaning);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const rest = (): void => {
    setCalm(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCalm(false), calmTime);
  };
  useEffect(() => {
    if (before.current === meaning) return;
    before.current = meaning;
    rest();
  }, [meaning]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return [calm, rest];
}
