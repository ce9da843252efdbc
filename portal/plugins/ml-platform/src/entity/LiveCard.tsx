import { EntityInfoCard, useEntity } from '@backstage/plugin-catalog-react';
import { Flex, Link, Text } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { ModelSummary } from '../api/types';
import { Facts } from '../components/Facts';
import { Nothing, Show } from '../components/Section';
import { State, words } from '../components/State';
import { Time } from '../components/Time';
import { left } from './HealthTab';
import { Rollout } from './deployments/Rollout';
import { entityPath, modelOf } from '../model';
import { stringifyEntityRef } from '@backstage/catalog-model';

/** What is live where, and the rollout in progress. */
export const LiveCard = () => {
  const { entity } = useEntity();
  const model = modelOf(entity);
  const summary = useGet<ModelSummary>(`/overview/models/${model}`, 5);
  const unknown = summary.error?.status === 404;
  return (
    <EntityInfoCard title="Model">
      {unknown ? (
        <Nothing
          what="No version is registered yet."
          how="In the repository, `platform run` trains, checks, registers and deploys the first one."
        />
      ) : (
        <Show loaded={summary}>
          {found => (
            <Flex direction="column" gap="5">
              <Facts
                of={[
                  ['Kind', found.type],
                  ['Tier', String(found.tier)],
                  [
                    'Newest version',
                    found.latestVersion === null
                      ? 'none'
                      : `v${found.latestVersion}`,
                  ],
                  ['Last change', <Time key="at" at={found.updatedAt} />],
                  [
                    'Service level',
                    found.slo ? (
                      <State
                        key="slo"
                        of={found.slo.state}
                        text={`${words(
                          found.slo.state,
                        )}, error budget left: ${left(found.slo.remaining)}`}
                      />
                    ) : (
                      'nothing is recorded yet'
                    ),
                  ],
                  [
                    'Drift',
                    found.drift ? (
                      <State key="drift" of={found.drift} />
                    ) : (
                      'nothing is recorded yet'
                    ),
                  ],
                ]}
              />
              {found.places.map(place => (
                <Flex key={place.environment} direction="column" gap="3">
                  <Text as="h3" weight="bold">
                    {place.environment}
                  </Text>
                  <Text>
                    {place.champion === null
                      ? 'No version is live'
                      : `v${place.champion} is live`}
                    {place.since && (
                      <>
                        {' '}
                        since <Time at={place.since} />
                      </>
                    )}
                    {place.phase && place.challenger !== null && (
                      <>
                        {'; '}
                        <State
                          of={place.phase}
                          text={`v${place.challenger} is ${words(place.phase)}`}
                        />
                      </>
                    )}
                  </Text>
                  {place.phase && place.deploymentId && (
                    <Rollout id={place.deploymentId} />
                  )}
                </Flex>
              ))}
              <Link
                href={`${entityPath(stringifyEntityRef(entity))}/deployments`}
              >
                All deployments, and what you can do
              </Link>
            </Flex>
          )}
        </Show>
      )}
    </EntityInfoCard>
  );
};
