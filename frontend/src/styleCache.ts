// Emotion writes its styles into empty <style> elements, which a content security policy without 'unsafe-inline' refuses.
// Constructed style sheets are allowed: they cannot come from injected markup.
import createCache, { type EmotionCache } from '@emotion/cache';

type EmotionSheet = EmotionCache['sheet'];

/** Takes the place of Emotion's own sheet; Emotion makes one more of them, by its constructor, for each global style. */
class AdoptedSheet implements Pick<EmotionSheet, 'insert' | 'flush' | 'hydrate' | 'key' | 'container' | 'tags' | 'isSpeedy'> {
  readonly key: string;
  readonly container: Node;
  /** Emotion asks which elements hold its styles; there are none. */
  readonly tags: HTMLStyleElement[] = [];
  readonly isSpeedy = true;
  readonly #sheet = new CSSStyleSheet();

  constructor(options: { key: string; container: Node }) {
    this.key = options.key;
    this.container = options.container;
    const sheets = document.adoptedStyleSheets;
    // Global styles come first, so that those of components win.
    document.adoptedStyleSheets = options.key.endsWith('-global') ? [this.#sheet, ...sheets] : [...sheets, this.#sheet];
  }

  insert(rule: string): void {
    try {
      this.#sheet.insertRule(rule, this.#sheet.cssRules.length);
    } catch {
      // A selector for another browser (::-moz-…): Emotion ignores these too.
    }
  }

  /** Emotion is done with it: its global style is gone. */
  flush(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this.#sheet);
  }

  hydrate(): void {
    // Nothing is rendered on a server.
  }
}

/** A cache for Emotion's CacheProvider that works under a strict content security policy. */
export function createStyleCache(): EmotionCache {
  const cache = createCache({ key: 'lab', speedy: true });
  cache.sheet = new AdoptedSheet({ key: 'lab', container: document.head }) as unknown as EmotionSheet;
  return cache;
}
