import { Flex, Text } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { Deployment, ModelSummary, Page } from '../api/types';
import { Grid } from '../components/Grid';
import { Nothing, Section, Show } from '../components/Section';
import { State, words } from '../components/State';
import { useModelName } from './useModelName';

/** Which controls the live versions meet, and by what evidence. */
export const ComplianceTab = () => {
  const model = useModelName();
  const summary = useGet<ModelSummary>(`/overview/models/${model}`);
  return (
    <Show loaded={summary}>
      {({ places }) => {
        const live = places.filter(({ champion }) => champion !== null);
        return (
          <Flex direction="column" gap="4">
            {live.map(({ environment, champion }) => (
              <Section
                key={environment}
                title={`v${champion}, live in ${environment}`}
              >
                <Controls
                  model={model}
                  environment={environment}
                  version={champion!}
                />
              </Section>
            ))}
            {live.length === 0 && (
              <Nothing what="No version is live, so no control applies yet." />
            )}
          </Flex>
        );
      }}
    </Show>
  );
};

const Controls = ({
  model,
  environment,
  version,
}: {
  model: string;
  environment: string;
  version: number;
}) => {
  const deployments = useGet<Page<Deployment>>(
    `/deployments?model=${model}&environment=${environment}&phase=completed&limit=100`,
  );
  return (
    <Show loaded={deployments}>
      {({ items }) => {
        const admitted = items.find(
          one =>
            one.version === version &&
            one.outcome === 'promoted' &&
            one.requirements.length > 0,
        );
        if (!admitted) {
          return (
            <Nothing what="Nothing is recorded about how this version was admitted." />
          );
        }
        const missing = admitted.requirements.filter(
          ({ state }) => state !== 'met',
        ).length;
        return (
          <Flex direction="column" gap="3">
            <Text>
              {missing === 0
                ? 'Every requirement of the policy was met when it was admitted.'
                : `${missing} of ${admitted.requirements.length} requirements were not met when it was admitted.`}
              {admitted.breakGlass &&
                ` The policy was overridden: ${admitted.breakGlass.reason}`}
            </Text>
            <Grid
              caption="Controls that the platform enforces on the way to production"
              head={['Control', 'State', 'Why', 'Evidence']}
              rows={admitted.requirements.map(
                ({ requirement, state, message, evidence }) => [
                  words(requirement),
                  <State key="state" of={state} />,
                  message,
                  evidence ? <code key="evidence">{evidence}</code> : '—',
                ],
              )}
            />
          </Flex>
        );
      }}
    </Show>
  );
};
