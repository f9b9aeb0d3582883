export { SessionsPage, useSessionsChanged } from './queries';
export { SessionList } from './SessionList';
export { SessionListItem } from './SessionListItem';
export { useStartSession } from './useStartSession';
