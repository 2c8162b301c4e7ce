// What fields say when they are sent as they must not be: at the field and in our own words. A browser's bubble says it in
// the language of the browser, and goes away by itself.
import { useState } from 'react';

export interface Complaint {
  /** '' = nothing is wrong, or nobody has tried to send it yet. */
  text: string;
  /** Of the input element. */
  onInvalid: (event: React.InvalidEvent<HTMLInputElement>) => void;
  /** To be called when the field is changed. */
  forget: () => void;
}

/** What one field complains about, from when it is sent until it is changed. */
export function useComplaint(sentence: (validity: ValidityState) => string): Complaint {
  const [text, setText] = useState('');
  return { text, onInvalid: (event) => setText(sentence(event.currentTarget.validity)), forget: () => setText('') };
}

/** Whether a form can be sent. If not its fields say why, and the first of them gets the focus. The form needs noValidate. */
export function isComplete(form: HTMLFormElement): boolean {
  if (form.checkValidity()) return true;
  const wrong = [...form.elements].find((field): field is HTMLInputElement => field instanceof HTMLInputElement && !field.validity.valid);
  const folded = wrong?.closest('details');
  if (folded) folded.open = true; // what is folded away cannot have the focus
  wrong?.focus();
  return false;
}
