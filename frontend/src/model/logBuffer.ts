/** The last lines of a stream of text. What is older than the limit is dropped, so that no log can fill the memory. */
export class LogBuffer {
  /** How many lines were dropped at the beginning. */
  dropped = 0;
  readonly #lines: string[] = [];
  #rest = '';

  constructor(readonly limit = 5_000) {}

  append(text: string): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#lines.push(readable(part));
    const excess = this.#lines.length - this.limit;
    if (excess > 0) {
      this.#lines.splice(0, excess);
      this.dropped += excess;
    }
  }

  /** All lines, the one that has not ended among them. */
  lines(): string[] {
    return this.#rest === '' ? [...this.#lines] : [...this.#lines, readable(this.#rest)];
  }
}

const terminalSequence = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** A line as a terminal would leave it: without colours, and only the last of what was written over itself. */
function readable(line: string): string {
  const plain = line.replace(terminalSequence, '').replace(/\r+$/, '');
  return plain.slice(plain.lastIndexOf('\r') + 1);
}

export function filterLines(lines: readonly string[], text: string): string[] {
  const wanted = text.trim().toLowerCase();
  return wanted === '' ? [...lines] : lines.filter((line) => line.toLowerCase().includes(wanted));
}
