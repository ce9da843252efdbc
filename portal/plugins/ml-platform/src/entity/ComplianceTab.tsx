import { Flex, Text } from '@backstage/ui';

import { useGet } from '../api/hooks';
import {
  Deployment,
  Inheritance,
  ModelCompliance,
  ModelSummary,
  Page,
} from '../api/types';
import { Grid } from '../components/Grid';
import { Nothing, Section, Show } from '../components/Section';
import { State, words } from '../components/State';
import { Controls } from '../compliance/Controls';
import { Waivers } from '../compliance/Waivers';
import { useModelName } from './useModelName';

/** Which controls the model meets, what is let pass, and how its live versions were admitted, by what evidence. */
export const ComplianceTab = () => {
  const model = useModelName();
  const summary = useGet<ModelSummary>(`/overview/models/${model}`);
  return (
    <Show loaded={summary}>
      {({ places }) => {
        const live = places.filter(({ champion }) => champion !== null);
        return (
          <Flex direction="column" gap="4">
            <Section title="Controls">
              <ModelControls model={model} />
            </Section>
            <Section title="Waivers">
              <Waivers
                path={`/compliance/waivers?model=${model}&limit=20`}
                none="No finding of this model is waived."
              />
            </Section>
            {live.map(({ environment, champion }) => (
              <Section
                key={environment}
                title={`v${champion}, live in ${environment}`}
              >
                <Flex direction="column" gap="5">
                  <Admission
                    model={model}
                    environment={environment}
                    version={champion!}
                  />
                  <Data model={model} version={champion!} />
                </Flex>
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

const Admission = ({
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
              caption="What the environment's policy demands"
              head={['Requirement', 'State', 'Why', 'Evidence']}
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

const ModelControls = ({ model }: { model: string }) => {
  const standing = useGet<ModelCompliance>(`/compliance/models/${model}`, 30);
  return (
    <Show loaded={standing}>
      {({ met, missing, controls }) => (
        <Flex direction="column" gap="3">
          <Text>
            {met} controls of SOC 2 are met, {missing} are not. They were
            examined just now.
          </Text>
          <Controls of={controls} />
        </Flex>
      )}
    </Show>
  );
};

const Data = ({ model, version }: { model: string; version: number }) => {
  const inherited = useGet<Inheritance>(
    `/registry/models/${model}/versions/${version}/classification`,
  );
  return (
    <Show loaded={inherited}>
      {({ classification, datasets }) => (
        <Flex direction="column" gap="3">
          <Text>
            It is {words(classification)}, as the most sensitive data that it
            was trained on.
          </Text>
          <Grid
            caption="Data that it was made from"
            head={['Data set', 'Role', 'Declared', 'In the catalog', 'Basis']}
            rows={datasets.map(one => [
              one.name,
              one.role,
              words(one.declared),
              one.known ? words(one.known) : 'nothing is recorded',
              one.basis ?? '—',
            ])}
          />
        </Flex>
      )}
    </Show>
  );
};
