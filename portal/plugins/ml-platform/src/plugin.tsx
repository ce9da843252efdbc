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
import {
  RiBox3Line,
  RiCustomerServiceLine,
  RiFingerprintLine,
  RiKey2Line,
  RiShieldCheckLine,
  RiStackLine,
} from '@remixicon/react';
import { ComponentType } from 'react';

import { PlatformClient, platformApiRef } from './api/client';
import { isModel } from './model';

const modelsRoute = createRouteRef();
const fleetRoute = createRouteRef();
const complianceRoute = createRouteRef();
const accessRoute = createRouteRef();
const privacyRoute = createRouteRef();
const supportRoute = createRouteRef();

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

const compliance = PageBlueprint.make({
  name: 'compliance',
  params: {
    path: '/compliance',
    title: 'Compliance',
    icon: <RiShieldCheckLine />,
    routeRef: complianceRoute,
    noHeader: true,
    loader: async () => {
      const { CompliancePage } = await import('./compliance/CompliancePage');
      return <CompliancePage />;
    },
  },
});

const access = PageBlueprint.make({
  name: 'access',
  params: {
    path: '/access',
    title: 'Access',
    icon: <RiKey2Line />,
    routeRef: accessRoute,
    noHeader: true,
    loader: async () => {
      const { AccessPage } = await import('./access/AccessPage');
      return <AccessPage />;
    },
  },
});

const privacy = PageBlueprint.make({
  name: 'privacy',
  params: {
    path: '/privacy',
    title: 'Privacy',
    icon: <RiFingerprintLine />,
    routeRef: privacyRoute,
    noHeader: true,
    loader: async () => {
      const { PrivacyPage } = await import('./privacy/PrivacyPage');
      return <PrivacyPage />;
    },
  },
});

const support = PageBlueprint.make({
  name: 'support',
  params: {
    path: '/support',
    title: 'Support',
    icon: <RiCustomerServiceLine />,
    routeRef: supportRoute,
    noHeader: true,
    loader: async () => {
      const { SupportPage } = await import('./support/SupportPage');
      return <SupportPage />;
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

const tab = (name: string, title: string, load: () => Promise<ComponentType>) =>
  EntityContentBlueprint.make({
    name,
    params: {
      path: `/${name}`,
      title,
      filter: isModel,
      loader: async () => {
        const Tab = await load();
        return <Tab />;
      },
    },
  });

const tabs = [
  tab(
    'health',
    'Health',
    async () => (await import('./entity/HealthTab')).HealthTab,
  ),
  tab(
    'deployments',
    'Deployments',
    async () =>
      (await import('./entity/deployments/DeploymentsTab')).DeploymentsTab,
  ),
  tab(
    'versions',
    'Versions',
    async () => (await import('./entity/versions/VersionsTab')).VersionsTab,
  ),
  tab(
    'endpoint',
    'Endpoint',
    async () => (await import('./entity/EndpointTab')).EndpointTab,
  ),
  tab(
    'template',
    'Template',
    async () => (await import('./entity/TemplateTab')).TemplateTab,
  ),
  tab(
    'compliance',
    'Compliance',
    async () => (await import('./entity/ComplianceTab')).ComplianceTab,
  ),
  tab('cost', 'Cost', async () => (await import('./entity/CostTab')).CostTab),
  tab(
    'audit',
    'Audit trail',
    async () => (await import('./entity/AuditTab')).AuditTab,
  ),
];

/**
 * The ML platform in Backstage: the pages Models, Fleet, Compliance, Access, Privacy and Support, and what an entity that is a model shows.
 *
 * @public
 */
const plugin: FrontendPlugin = createFrontendPlugin({
  pluginId: 'ml-platform',
  title: 'ML platform',
  routes: {
    models: modelsRoute,
    fleet: fleetRoute,
    compliance: complianceRoute,
    access: accessRoute,
    privacy: privacyRoute,
    support: supportRoute,
  },
  extensions: [
    client,
    models,
    fleet,
    compliance,
    access,
    privacy,
    support,
    live,
    ...tabs,
  ],
});

export default plugin;
