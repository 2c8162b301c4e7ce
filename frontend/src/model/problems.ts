// Where a problem that the server has with input is shown.
import type { ApiError } from '../api/client';

/** What is wrong with the name, in words that stand below its field; '' when nothing is. */
export function nameProblemOf(problem: ApiError | undefined, name: string): string {
  const said = problem?.fields.display_name ?? '';
  return said !== '' && problem?.code === 'conflict' ? takenName(name) : said;
}

/** Of fields that were left empty. */
export const noName = 'A name is needed.';
export const noImage = 'The name of an image is needed.';

/** The server counts characters, not what browsers count, of which an emoji is two. '' = it is not too long. */
export function longName(name: string): string {
  const { length } = Array.from(name.trim());
  return length > 128 ? `The name has ${length} characters; 128 are allowed.` : '';
}

export function takenName(name: string): string {
  return `You already have a workspace ${name.trim()}.`;
}

/** Whether the problem is said at a field, so that it need not be said again. */
export function isAtField(problem: ApiError): boolean {
  return Object.keys(problem.fields).some((field) => shownAtFields.has(field));
}

const shownAtFields = new Set(['display_name', 'container_image', 'profile', 'port', 'idle_timeout', 'compute.cpus', 'compute.memory', 'compute.shm', 'compute.processes', 'compute.gpus', 'storage.volume_size', 'storage.container_size']);
