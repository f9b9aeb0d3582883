export { DiffView } from './DiffView';
export { FileDelta } from './FileDelta';
export { FileList } from './FileList';
