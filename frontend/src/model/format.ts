// Numbers, sizes and times as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });

/** Memory and sizes in the API's MB, by the same rule as the server's own sentences: "500 MB", "4 GB", "1.5 GB". */
export function formatMB(mb: number): string {
  if (mb < 1000) return `${whole.format(mb)} MB`;
  return `${gigabytes(mb)} GB`;
}

/** The number of GB alone, for "12 of 32 GB". */
export function gigabytes(mb: number): string {
  return tenths.format(Math.floor(mb / 100) / 10);
}

export function formatCpus(cpus: number): string {
  return `${formatNumber(cpus)} ${cpus === 1 ? 'CPU' : 'CPUs'}`;
}

export function formatNumber(value: number): string {
  return hundredths.format(value);
}

/** A measured number of bytes: "3.2 GB", "412 MB", "0 bytes". */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const number = unit >= 3 && value < 100 ? tenths.format(value) : whole.format(value);
  return `${number} ${bytes === 1 ? 'byte' : (units[unit] ?? '')}`;
}

export function formatFiles(count: number): string {
  return `${whole.format(count)} ${count === 1 ? 'file' : 'files'}`;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** How long something takes or took: "2 ms", "11 s", "3 h 12 min", "5 days". */
export function formatDuration(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  if (length < second) return `${whole.format(length)} ms`;
  if (length < minute) return `${Math.floor(length / second)} s`;
  if (length < hour) return `${Math.floor(length / minute)} min`;
  if (length < day) {
    const minutes = Math.floor((length % hour) / minute);
    return `${Math.floor(length / hour)} h${minutes === 0 ? '' : ` ${minutes} min`}`;
  }
  const days = Math.floor(length / day);
  return `${days} ${days === 1 ? 'day' : 'days'}`;
}

/** How long ago, in whole units: "just now", "26 min ago", "3 days ago". Clocks of two machines may disagree a little. */
export function formatAgo(then: string, now: number): string {
  const length = now - Date.parse(then);
  if (length < minute) return 'just now';
  return `${formatDuration(length < day ? length - (length >= hour ? length % hour : 0) : length)} ago`;
}

/** How long something has been so, without seconds that would only distract: "for 3 h 12 min". */
export function formatFor(since: string, now: number): string {
  const length = now - Date.parse(since);
  return length < minute ? 'just now' : `for ${formatDuration(length)}`;
}

const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dateAndTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export function formatDate(time: string): string {
  return date.format(new Date(time));
}

/** The exact time, for what shows when the pointer rests on a relative one. */
export function formatExact(time: string): string {
  return dateAndTime.format(new Date(time));
}

/** An idle timeout in seconds; 0 means never. */
export function formatIdle(seconds: number): string {
  return seconds === 0 ? 'Keep running' : `Stop after ${formatDuration(seconds * second)}`;
}

/** What stands for an image where there is no room: the first letters of its name without registry and tag. */
export function initialsOf(imageName: string): string {
  const name = imageName.split('/').at(-1)?.split(/[:@]/)[0] ?? '';
  const words = name.split(/[\s_-]+/).filter((word) => word !== '');
  const [first = '', second = ''] = words;
  // An abbreviation stands for itself: "VS Code".
  if (second === '' || /^\p{Lu}{2,3}$/u.test(first)) return first.charAt(0).toUpperCase() + first.slice(1, 2);
  return (first.charAt(0) + second.charAt(0)).toUpperCase();
}

/** The time of day: "14:05". */
export function formatTime(time: string): string {
  return timeOfDay.format(new Date(time));
}
