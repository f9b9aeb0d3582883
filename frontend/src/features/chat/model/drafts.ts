/** What was written and not sent, by session. Leaving a page loses nothing, as long as the tab is open. */
const drafts = new Map<string, string>();

export function draftOf(sessionId: string): string {
  return drafts.get(sessionId) ?? '';
}

export function keepDraft(sessionId: string, text: string): void {
  if (text === '') drafts.delete(sessionId);
  else drafts.set(sessionId, text);
}
