import { ProjectionsPage } from '@/features/projections';

export function ProjectionsRoute() {
  return <ProjectionsPage />;
}
