/** Reads a unified diff into lines with their numbers. */
interface PatchLine {
  kind: 'added' | 'removed' | 'same' | 'hunk';
  text: string;
  before: number | null;
  after: number | null;
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$/;

export function parsePatch(patch: string): PatchLine[] {
  const lines: PatchLine[] = [];
  let [before, after] = [0, 0];
  let inside = false;
  for (const line of patch.replace(/\n$/, '').split('\n')) {
    const hunk = HUNK.exec(line);
    if (hunk !== null) {
      before = Number(hunk[1]);
      after = Number(hunk[2]);
      inside = true;
      lines.push({ kind: 'hunk', text: line, before: null, after: null });
    } else if (!inside || line.startsWith('\\')) {
    } else if (line.startsWith('+')) {
      lines.push({ kind: 'added', text: line.slice(1), before: null, after: after++ });
    } else if (line.startsWith('-')) {
      lines.push({ kind: 'removed', text: line.slice(1), before: before++, after: null });
    } else {
      lines.push({ kind: 'same', text: line.slice(1), before: before++, after: after++ });
    }
  }
  return lines;
}
