export { Inspector } from './Inspector';
export { Timeline } from './Timeline';
