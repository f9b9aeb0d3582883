export { Chat } from './components/Chat';
export { Composer } from './components/Composer';
export { Markdown } from './components/Markdown';
