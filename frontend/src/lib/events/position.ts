/** Positions are opaque cursors of the form `epoch-position`; only order and display look inside. */

/** The number after the dash, for people. */
export function positionNumber(cursor: string): number {
  return Number(cursor.slice(cursor.lastIndexOf('-') + 1));
}

function epochOf(cursor: string): string {
  return cursor.slice(0, Math.max(0, cursor.lastIndexOf('-')));
}

/** Whether both cursors belong to the same history. A restored backup begins another one. */
export function sameEpoch(a: string, b: string): boolean {
  return epochOf(a) === epochOf(b);
}

/** Whether `a` lies at or before `b`; nothing lies before the first event. */
export function reached(a: string, b: string | null): boolean {
  return b !== null && positionNumber(a) <= positionNumber(b);
}
