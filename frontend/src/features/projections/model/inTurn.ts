interface Steps {
  /** Whether its turn may still come. */
  wanted: (name: string) => boolean;
  /** Begins one; `left` are those after it. Answers whether it was begun. */
  begin: (name: string, left: readonly string[]) => Promise<boolean>;
  ended: (name: string) => Promise<void>;
}

/** One after another. One that is refused does not hold up the rest. */
export async function inTurn(names: readonly string[], { wanted, begin, ended }: Steps): Promise<void> {
  for (const [at, name] of names.entries()) {
    if (!wanted(name)) return;
    if (await begin(name, names.slice(at + 1))) await ended(name);
  }
}
