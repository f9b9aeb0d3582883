export { useViewer } from './useViewer';
