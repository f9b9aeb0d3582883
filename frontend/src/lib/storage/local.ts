/** localStorage that may be full or forbidden: reading then yields null, and writing does nothing. */
export function load(key: string): string | null {
  try {
    return localStorage.getItem(`daybook.${key}`);
  } catch {
    return null;
  }
}

export function save(key: string, value: string): void {
  try {
    localStorage.setItem(`daybook.${key}`, value);
  } catch {
    // A preference that cannot be kept lasts as long as the page.
  }
}
