export { MissionControl } from './MissionControl';
export { missionSearch } from './model/search';
