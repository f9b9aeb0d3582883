export { Thinking } from './Thinking';
