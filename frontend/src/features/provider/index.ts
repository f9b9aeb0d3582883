export { ModelBanner } from './ModelBanner';
export { ModelLabel } from './ModelLabel';
