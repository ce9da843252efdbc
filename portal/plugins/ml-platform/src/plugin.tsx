import {
  ApiBlueprint,
  createFrontendPlugin,
  createRouteRef,
  discoveryApiRef,
  FrontendPlugin,
  identityApiRef,
  PageBlueprint,
} from '@backstage/frontend-plugin-api';
import {
  EntityCardBlueprint,
  EntityContentBlueprint,
} from '@backstage/plugin-catalog-react/alpha';
import { RiBox3Line, RiStackLine } from '@remixicon/react';

import { PlatformClient, platformApiRef } from './api/client';
import { isModel } from './model';

const modelsRoute = createRouteRef();
const fleetRoute = createRouteRef();

const client = ApiBlueprint.make({
  params: define =>
    define({
      api: platformApiRef,
      deps: { discovery: discoveryApiRef, identity: identityApiRef },
      factory: ({ discovery, identity }) =>
        new PlatformClient(discovery, identity),
    }),
});

const models = PageBlueprint.make({
  name: 'models',
  params: {
    path: '/models',
    title: 'Models',
    icon: <RiBox3Line />,
    routeRef: modelsRoute,
    noHeader: true,
    loader: async () => {
      const { ModelsPage } = await import('./models/ModelsPage');
      return <ModelsPage />;
    },
  },
});

const fleet = PageBlueprint.make({
  name: 'fleet',
  params: {
    path: '/fleet',
    title: 'Fleet',
    icon: <RiStackLine />,
    routeRef: fleetRoute,
    noHeader: true,
    loader: async () => {
      const { FleetPage } = await import('./fleet/FleetPage');
      return <FleetPage />;
    },
  },
});

const live = EntityCardBlueprint.make({
  name: 'live',
  params: {
    type: 'content',
    filter: isModel,
    loader: async () => {
      const { LiveCard } = await import('./entity/LiveCard');
      return <LiveCard />;
    },
  },
});

const deployments = EntityContentBlueprint.make({
  name: 'deployments',
  params: {
    path: '/deployments',
    title: 'Deployments',
    filter: isModel,
    loader: async () => {
      const { DeploymentsTab } = await import(
        './entity/deployments/DeploymentsTab'
      );
      return <DeploymentsTab />;
    },
  },
});

const versions = EntityContentBlueprint.make({
  name: 'versions',
  params: {
    path: '/versions',
    title: 'Versions',
    filter: isModel,
    loader: async () => {
      const { VersionsTab } = await import('./entity/versions/VersionsTab');
      return <VersionsTab />;
    },
  },
});

const endpoint = EntityContentBlueprint.make({
  name: 'endpoint',
  params: {
    path: '/endpoint',
    title: 'Endpoint',
    filter: isModel,
    loader: async () => {
      const { EndpointTab } = await import('./entity/EndpointTab');
      return <EndpointTab />;
    },
  },
});

const template = EntityContentBlueprint.make({
  name: 'template',
  params: {
    path: '/template',
    title: 'Template',
    filter: isModel,
    loader: async () => {
      const { TemplateTab } = await import('./entity/TemplateTab');
      return <TemplateTab />;
    },
  },
});

const compliance = EntityContentBlueprint.make({
  name: 'compliance',
  params: {
    path: '/compliance',
    title: 'Compliance',
    filter: isModel,
    loader: async () => {
      const { ComplianceTab } = await import('./entity/ComplianceTab');
      return <ComplianceTab />;
    },
  },
});

const cost = EntityContentBlueprint.make({
  name: 'cost',
  params: {
    path: '/cost',
    title: 'Cost',
    filter: isModel,
    loader: async () => {
      const { CostTab } = await import('./entity/CostTab');
      return <CostTab />;
    },
  },
});

const audit = EntityContentBlueprint.make({
  name: 'audit',
  params: {
    path: '/audit',
    title: 'Audit trail',
    filter: isModel,
    loader: async () => {
      const { AuditTab } = await import('./entity/AuditTab');
      return <AuditTab />;
    },
  },
});

/**
 * The ML platform in Backstage: the pages Models and Fleet, and what an entity that is a model shows.
 *
 * @public
 */
const plugin: FrontendPlugin = createFrontendPlugin({
  pluginId: 'ml-platform',
  title: 'ML platform',
  routes: { models: modelsRoute, fleet: fleetRoute },
  extensions: [
    client,
    models,
    fleet,
    live,
    deployments,
    versions,
    endpoint,
    template,
    compliance,
    cost,
    audit,
  ],
});

export default plugin;
